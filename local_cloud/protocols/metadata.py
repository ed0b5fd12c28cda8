"""The metadata service of a machine: who it is, and a token of its service account, for whoever runs on it."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_FLAVOR = "Metadata-Flavor"
_INSTANCE = "/computeMetadata/v1/instance/"


class TokenCache:
    """One identity's current token, renewed when a tenth of its life is left, as the cloud's metadata service does."""

    def __init__(self, issue: Callable[[str], tuple[str, float]], subject: str) -> None:
        self._issue, self._subject = issue, subject
        self._token, self._issued, self._expires = "", 0.0, 0.0

    def get(self) -> tuple[str, float]:
        """The token and the seconds that it still lives."""
        now = time.time()
        if self._expires - now < (self._expires - self._issued) / 10 or not self._token:
            self._token, self._expires = self._issue(self._subject)
            self._issued = now
        return self._token, self._expires - now


class Metadata:
    """One listener with one identity; whoever can reach it has that identity, as on a real machine."""

    def __init__(self, host: str, port: int, tokens: TokenCache, facts: Mapping[str, str]) -> None:
        """`facts` are the plain texts by their path below `/computeMetadata/v1/instance/`."""
        self._server = ThreadingHTTPServer(
            (host, port), type("Handler", (_Handler,), {"tokens": tokens, "facts": facts})
        )
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    tokens: TokenCache
    facts: Mapping[str, str]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        if self.headers.get(_FLAVOR) != "Google":
            self._send(403, f"The header '{_FLAVOR}: Google' is missing\n")
        elif path == f"{_INSTANCE}service-accounts/default/token":
            token, seconds = self.tokens.get()
            self._send(200, json.dumps({"access_token": token, "expires_in": int(seconds), "token_type": "Bearer"}))
        elif path.startswith(_INSTANCE) and path.removeprefix(_INSTANCE) in self.facts:
            self._send(200, self.facts[path.removeprefix(_INSTANCE)])
        else:
            self._send(
                404, f"{path} is not known here; there are service-accounts/default/token and {sorted(self.facts)}\n"
            )

    def _send(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header(_FLAVOR, "Google")
        self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: tokens' fetches come every few seconds."""
