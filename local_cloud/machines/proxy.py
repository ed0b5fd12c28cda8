"""The only way out of a lab: an HTTP proxy (CONNECT, and GET or HEAD of http://) for an allow-list of hosts.

python -m local_cloud.machines.proxy NAMESPACE ADDRESS PORT HOST[,HOST…]

It listens inside the network namespace and connects from the host's own, by way of HTTP(S)_PROXY if those are set.
"""

import os
import socket
import socketserver
import sys
import urllib.parse

from local_cloud.machines import host, relay

PORTS = {80, 443}


class Refusal(Exception):
    """A request that is not let through: status line and reason, as the client reads them."""


class Proxy(relay.Server):
    def __init__(self, listener: socket.socket, allowed: set[str]) -> None:
        super().__init__(listener, Request)
        self.allowed = allowed

    def check(self, name: str | None, port: int) -> None:
        """Raises Refusal unless the host is on the list (exactly) and the port is one of http's."""
        if name not in self.allowed or port not in PORTS:
            raise Refusal(f"403 {name}:{port} is not on the allow-list ({', '.join(sorted(self.allowed))}: 80, 443)")


class Request(socketserver.StreamRequestHandler):
    timeout = 60

    def handle(self) -> None:
        try:
            method, target, _ = self.rfile.readline(8192).decode("latin-1").split()
            headers = list(iter(lambda: self.rfile.readline(8192).rstrip(b"\r\n"), b""))
            upstream = self.tunnel(target) if method == "CONNECT" else self.forward(method, target, headers)
        except (Refusal, ValueError, OSError) as problem:
            reason = str(problem) if isinstance(problem, Refusal) else f"502 {type(problem).__name__}: {problem}"
            print("refused", reason, flush=True)
            self.wfile.write(f"HTTP/1.1 {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1"))
            return
        print(method, target[:160], flush=True)
        with upstream:
            relay.pump(self.connection, upstream)

    def tunnel(self, target: str) -> socket.socket:
        name, _, port = target.rpartition(":")
        self.proxy.check(name, int(port))
        upstream = connect("https", name, int(port))
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        return upstream

    def forward(self, method: str, target: str, headers: list[bytes]) -> socket.socket:
        if method not in ("GET", "HEAD"):
            raise Refusal(f"405 {method}: only GET, HEAD and CONNECT")
        url = urllib.parse.urlsplit(target)
        self.proxy.check(url.hostname, url.port or 80)
        assert url.hostname is not None  # on the list
        by_proxy = bool(_proxy("http"))
        upstream = connect("http", url.hostname, url.port or 80)
        path = target if by_proxy else urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
        kept = [h for h in headers if h.partition(b":")[0].lower() not in (b"proxy-connection", b"connection")]
        head = f"{method} {path} HTTP/1.1".encode("latin-1")
        upstream.sendall(b"\r\n".join([head, *kept, b"Connection: close", b"", b""]))
        return upstream

    @property
    def proxy(self) -> Proxy:
        assert isinstance(self.server, Proxy)
        return self.server


def _proxy(scheme: str) -> urllib.parse.SplitResult | None:
    address = os.environ.get(f"{scheme}_proxy") or os.environ.get(f"{scheme.upper()}_PROXY")
    return urllib.parse.urlsplit(address) if address else None


def connect(scheme: str, name: str, port: int) -> socket.socket:
    """A connection to the host, or to the proxy above us, through which the host is reached."""
    above = _proxy(scheme)
    if not above:
        return socket.create_connection((name, port), 30)
    upstream = socket.create_connection((str(above.hostname), above.port or 3128), 30)
    if scheme == "https":
        upstream.sendall(f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            byte = upstream.recv(1)  # one at a time: what follows belongs to the client
            if not byte:
                raise OSError(f"the proxy {above.hostname} closed the connection")
            answer += byte
        if b" 200" not in answer.splitlines()[0]:
            raise OSError(f"the proxy {above.hostname} answered {answer.splitlines()[0].decode('latin-1')}")
    return upstream


def main() -> None:
    namespace, address, port, allowed = sys.argv[1:]
    with host.network(namespace):
        listener = socket.create_server((address, int(port)), backlog=128)
    Proxy(listener, set(allowed.split(","))).serve_forever()


if __name__ == "__main__":
    main()
