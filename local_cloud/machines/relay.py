"""TCP between network namespaces: a socket stays in the namespace that it was made in.

An endpoint is `host:ADDRESS:PORT` or `<namespace>:ADDRESS:PORT`.
"""

import os
import select
import socket
import socketserver
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

from local_cloud.machines import host

IDLE_SECONDS = 600


class Server(socketserver.ThreadingTCPServer):
    """Serves on a listener that exists already."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(listener.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


@dataclass(frozen=True)
class Endpoint:
    namespace: str | None
    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        try:
            namespace, address, port = text.split(":")
            return cls(None if namespace == "host" else namespace, address, int(port))
        except ValueError:
            raise host.MachineError(
                f"{text!r} is no endpoint; expected host:ADDRESS:PORT or LAB:ADDRESS:PORT"
            ) from None

    def listen(self) -> socket.socket:
        with host.network(self.namespace):
            return socket.create_server((self.address, self.port), backlog=128)

    def connect(self) -> socket.socket:
        with host.network(self.namespace):
            connection = socket.socket()
        connection.settimeout(30)
        connection.connect((self.address, self.port))
        return connection


def pump(one: socket.socket, other: socket.socket) -> None:
    """Copies both ways until both sides have ended or nothing moves for ten minutes."""
    one.settimeout(None)
    other.settimeout(None)
    peer = {one: other, other: one}
    open_sides = {one, other}
    while open_sides:
        # What TLS has read and nobody has taken yet is not seen by select.
        read: list[socket.socket] = [s for s in open_sides if isinstance(s, ssl.SSLSocket) and s.pending()]
        ready = read or select.select(list(open_sides), [], [], IDLE_SECONDS)[0]
        if not ready:
            return
        for side in ready:
            try:
                data = side.recv(1 << 16)
                if data:
                    peer[side].sendall(data)
                    continue
                peer[side].shutdown(socket.SHUT_WR)
            except OSError:
                return
            open_sides.discard(side)


def serve(listen: Endpoint, to: Endpoint, certificate: Path | None = None) -> None:
    """Relays every connection, until the process ends.

    Args:
        certificate: key and chain in one PEM file: clients speak TLS, and what is behind does not.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if context and certificate:
        context.load_cert_chain(certificate)

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                client = context.wrap_socket(self.request, server_side=True) if context else self.request
                with client, to.connect() as upstream:
                    pump(client, upstream)
            except OSError as problem:
                print(f"relay to {to.address}:{to.port}: {problem}", file=sys.stderr, flush=True)

    Server(listen.listen(), Connection).serve_forever()


def pipe(to: Endpoint) -> None:
    """Relays standard input and output to one connection: an ssh ProxyCommand."""
    with to.connect() as upstream:
        upstream.settimeout(None)
        sides = [sys.stdin.fileno(), upstream.fileno()]
        while sides:
            ready, _, _ = select.select(sides, [], [])
            if upstream.fileno() in ready:
                data = upstream.recv(1 << 16)
                if not data:
                    return
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            if sys.stdin.fileno() in ready:
                data = os.read(sys.stdin.fileno(), 1 << 16)
                if data:
                    upstream.sendall(data)
                else:
                    upstream.shutdown(socket.SHUT_WR)
                    sides.remove(sys.stdin.fileno())


if __name__ == "__main__":
    pipe(Endpoint.parse(sys.argv[1]))
