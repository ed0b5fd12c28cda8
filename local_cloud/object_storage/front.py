"""The server: looks at each request, answers it or hands it to the store behind. Bodies are kept in memory."""

import http.client
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_cloud.core.config import ObjectStore
from local_cloud.object_storage import checks, errors, signature
from local_cloud.object_storage.errors import S3Error
from local_cloud.object_storage.request import Request
from local_cloud.object_storage.settings import Settings, setting_of

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Front:
    """Object Storage as far as it is stricter or knows more than the store behind it."""

    def __init__(
        self,
        store: ObjectStore,
        settings: Settings,
        tokens: signature.Tokens,
        published: Mapping[str, bytes] | None = None,
    ) -> None:
        """`published` is what anybody may read: path -> content."""
        self._store, self._settings, self._tokens = store, settings, tokens
        self._published = published or {}
        self._refusals: list[S3Error] = []
        self._refused: Counter[tuple[str, str]] = Counter()

    def not_yet(self, *refusals: S3Error) -> None:
        """From now on, as of what was made a second ago: of each bucket these refusals come first, then it is there.

        By each of those who ask: a key may be new, too.
        """
        self._refusals = list(refusals)
        self._refused.clear()

    def _refuse_new(self, request: Request) -> None:
        who = (request.bucket, "token" if request.headers.get(signature.TOKEN) else "key")
        if request.bucket and self._refused[who] < len(self._refusals):
            self._refused[who] += 1
            raise self._refusals[self._refused[who] - 1]

    def answer(self, request: Request) -> Answer:
        """The answer to a request; raises `S3Error`."""
        if request.method == "GET" and request.path in self._published:
            return Answer(200, {"Content-Type": "application/octet-stream"}, self._published[request.path])
        self._refuse_new(request)
        checks.check(request)
        by_token = self._identify(request)
        if setting_of(request) and request.method in ("GET", "PUT", "DELETE"):
            return self._settled(request, by_token)
        if by_token or request.host_bucket:
            if not by_token:
                signature.verify(request, self._store)
            answer = self._send(request, signature.signed(request, self._store), _path_style(request))
        else:
            answer = self._send(request, request.headers, request.target)  # the store looks at the signature itself
        if request.method == "DELETE" and not request.key and answer.status == 204:
            self._settings.forget(request.bucket)
        return answer

    def _identify(self, request: Request) -> bool:
        """Whether an IAM token says who asks; raises `S3Error` for a wrong one.

        Whoever has no credentials may read what is public, which is the store's to know.
        """
        token = request.headers.get(signature.TOKEN, "")
        if token and not self._tokens(token):
            raise errors.wrong_token()
        reads = request.method in ("GET", "HEAD") and not setting_of(request)
        if not token and not signature.is_signed(request) and not reads:
            raise errors.no_credentials()
        return bool(token)

    def _settled(self, request: Request, by_token: bool) -> Answer:
        if not by_token:
            signature.verify(request, self._store)
        look = Request("HEAD", f"/{request.bucket}", {})
        if self._send(look, signature.signed(look, self._store), look.target).status == 404:
            raise errors.no_such_bucket(request.bucket)
        status, body = self._settings.answer(request)
        kind = "application/json" if body.startswith(b"{") else "application/xml"
        return Answer(status, {"Content-Type": kind}, body)

    def _send(self, request: Request, headers: Mapping[str, str], target: str) -> Answer:
        address = urlsplit(self._store.endpoint)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        connection = kind(address.hostname or "", address.port, timeout=300)
        sent = {name: value for name, value in headers.items() if name.lower() not in _HOP}
        sent["Content-Length"] = str(len(request.body))
        try:
            connection.request(request.method, target, request.body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        except (OSError, http.client.HTTPException) as problem:
            raise errors.store_away(problem) from problem
        finally:
            connection.close()


def _path_style(request: Request) -> str:
    query = urlsplit(request.target).query
    return f"{request.path}?{query}" if query else request.path


class Server:
    """The front on a port; with `certificate` (key and chain in one PEM file) it speaks TLS."""

    def __init__(self, front: Front, host: str = "127.0.0.1", port: int = 0, certificate: Path | None = None) -> None:
        handler = type("Handler", (_Handler,), {"front": front})
        self._server = ThreadingHTTPServer((host, port), handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://localhost:{self._server.server_address[1]}"

    def start(self) -> "Server":
        threading.Thread(target=self._server.serve_forever, name="object-storage", daemon=True).start()
        return self

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    front: Front
    protocol_version = "HTTP/1.1"
    timeout = 60

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            self._send(self.front.answer(Request(self.command, self.path, headers, self._body())))
        except S3Error as error:
            self._send(Answer(error.status, {"Content-Type": "application/xml"}, error.body(self.path)))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            """Trailers."""
        return b"".join(parts)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        length = str(len(answer.body))
        for name, value in answer.headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in (*_HOP, "server", "date"):
                self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """The store behind keeps the log."""
