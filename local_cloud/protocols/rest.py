"""The REST side: the routes that the services' `google.api.http` options declare, with JSON as protobuf maps it."""

import functools
import json
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import grpc
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from local_cloud.core import schema
from local_cloud.core.calls import Api
from local_cloud.core.config import ConfigError
from local_cloud.core.errors import ApiError, invalid
from local_cloud.core.tls import Tls

# https://cloud.google.com/apis/design/errors#handling_errors, as the cloud's own gateway maps them.
HTTP_STATUS = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
_VERBS = ("get", "post", "put", "patch", "delete")
_UNPREFIXED = (f"{schema.ROOT}.endpoint", f"{schema.ROOT}.operation")
_MAX_BODY = 4 << 20


@dataclass(frozen=True)
class Route:
    """One rule: an HTTP verb and a path template, the method that answers, and the field that the body fills."""

    verb: str
    path: re.Pattern[str]
    method: MethodDescriptor
    body: str


def find(verb: str, path: str) -> tuple[Route, re.Match[str]]:
    """The route of a call and its variables; raises NOT_FOUND.

    Most paths begin with their package (`/lockbox/v1/…`), which is looked at first; only an unusual path needs all.
    """
    likely = (f"{schema.ROOT}.{'.'.join(path.split('/')[1:3])}", *_UNPREFIXED)
    for package in dict.fromkeys((*(name for name in likely if name in schema.packages()), *schema.packages())):
        for route in routes(package):
            if route.verb == verb and (match := route.path.fullmatch(path)):
                return route, match
    raise ApiError(grpc.StatusCode.NOT_FOUND, f"{verb} {path} is not a path of this API")


@functools.cache
def routes(package: str) -> tuple[Route, ...]:
    """All routes of a package's services."""
    return tuple(
        route for service in schema.load_package(package) for method in service.methods for route in _routes_of(method)
    )


def _routes_of(method: MethodDescriptor) -> Iterator[Route]:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        if verb in _VERBS:
            yield Route(verb.upper(), _pattern(getattr(binding, verb)), method, binding.body)


def _pattern(template: str) -> re.Pattern[str]:
    """`/v1/secrets/{secret_id}:activate` -> a pattern with one group for each variable."""
    parts = re.split(r"\{([\w.]+)(?:=[^}]*)?\}", template)
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = (f"(?P<{name.replace('.', '__')}>[^/:]+)" for name in parts[1::2])
    return re.compile("".join(parts))


def parse(route: Route, match: re.Match[str], query: str, body: bytes) -> Message:
    """The request message of a call; raises INVALID_ARGUMENT for JSON or fields that do not fit."""
    request: Any = schema.new(route.method.input_type)
    try:
        if route.body and body:
            json_format.Parse(body.decode(), request if route.body == "*" else getattr(request, route.body))
        variables = [(name.replace("__", "."), unquote(value)) for name, value in match.groupdict().items()]
        for name, value in parse_qsl(query) + variables:
            _set(request, name.split("."), value)
    except (json_format.ParseError, UnicodeDecodeError, ValueError, AttributeError) as error:
        raise invalid(f"the request does not fit {route.method.input_type.full_name}: {error}") from error
    return request


def _set(message: Any, path: list[str], text: str) -> None:
    """Set a field from a query or path parameter; names are accepted in both of protobuf's spellings."""
    fields = message.DESCRIPTOR.fields
    field = next((f for f in fields if path[0] in (f.name, f.json_name)), None)
    if field is None:
        raise ValueError(f"{message.DESCRIPTOR.name} has no field {path[0]!r}")
    if len(path) > 1:
        _set(getattr(message, field.name), path[1:], text)
        return
    value: Any = json.loads(text) if field.type == FieldDescriptor.TYPE_BOOL else text
    if field.is_repeated:
        json_format.ParseDict(
            {field.json_name: [*json_format.MessageToDict(message).get(field.json_name, []), value]}, message
        )
    else:
        json_format.ParseDict({field.json_name: value}, message)


class RestServer:
    """Bound at once, so that its port is known; serves when `start` has told it the API."""

    def __init__(self, host: str, port: int, tls: Tls) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(tls.pair)
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} (rest_port) cannot be used: {error.strerror}; 0 is any free one"
            ) from error
        self._server.context = context
        self.port: int = self._server.server_address[1]

    def start(self, api: Api) -> None:
        self._server.api = api
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: Api
    context: ssl.SSLContext

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread: in the accepting one, a silent client would block everybody."""
        request.settimeout(60)
        try:
            request = self.context.wrap_socket(request, server_side=True)
        except OSError:
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self._body()
        try:
            route, match = find(self.command, url.path)
            request = parse(route, match, url.query, body)
            answer = self.server.api.call(route.method, request, self.headers.get("Authorization", ""), "rest")
            self._send(200, json_format.MessageToJson(answer, indent=None))
        except ApiError as error:
            status = {"details": [], **json_format.MessageToDict(error.status())}
            self._send(HTTP_STATUS[error.code.name], json.dumps(status))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            self.close_connection = True
            return b""
        return self.rfile.read(length)

    def _send(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """The event log has every call."""
