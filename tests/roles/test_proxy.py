"""The lab's only way out: an exact allow-list. No root needed: everything is on loopback."""

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from local_cloud.machines import host, proxy, relay


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    server = proxy.Proxy(socket.create_server(("127.0.0.1", 0)), {"allowed.test"})
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[0], server.server_address[1]  # type: ignore[misc]
    server.shutdown()
    server.server_close()


@pytest.fixture
def above(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """A proxy above ours, which answers everything with 200 and `hello`; what it was asked is in the list."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            asked.append(connection.recv(4096))
            if asked[-1].startswith(b"CONNECT"):
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                asked.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
    yield asked
    listener.close()


def ask(address: tuple[str, int], method: str, target: str) -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.putrequest(method, target, skip_host=True)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, b"" if method == "CONNECT" else answer.read(), answer.reason


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "http://elsewhere.test/", 403),
        ("GET", "http://allowed.test.elsewhere.test/", 403),
        ("GET", "http://sub.allowed.test/", 403),
        ("GET", "http://allowed.test@elsewhere.test/", 403),
        ("GET", "http://allowed.test:8080/", 403),
        ("GET", "http://169.254.169.254/", 403),
        ("GET", "/relative", 403),
        ("CONNECT", "elsewhere.test:443", 403),
        ("CONNECT", "allowed.test:22", 403),
        ("CONNECT", "127.0.0.1:443", 403),
        ("POST", "http://allowed.test/", 405),
        ("DELETE", "http://allowed.test/", 405),
    ],
)
def test_refused(address: tuple[str, int], above: list[bytes], method: str, target: str, status: int) -> None:
    assert ask(address, method, target)[0] == status
    assert above == []  # nothing went out


def test_a_refusal_says_what_is_allowed(address: tuple[str, int]) -> None:
    _, _, reason = ask(address, "GET", "http://elsewhere.test/")
    assert reason == "elsewhere.test:80 is not on the allow-list (allowed.test: 80, 443)"


def test_allowed_goes_by_the_proxy_above(address: tuple[str, int], above: list[bytes]) -> None:
    assert ask(address, "GET", "http://allowed.test/a?b=c")[:2] == (200, b"hello")
    assert above[0].startswith(b"GET http://allowed.test/a?b=c HTTP/1.1\r\n")


def test_a_tunnel_goes_by_the_proxy_above(address: tuple[str, int], above: list[bytes]) -> None:
    with socket.create_connection(address, 5) as connection:
        connection.sendall(b"CONNECT allowed.test:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 200 OK\r\n\r\n"
        connection.sendall(b"anything")
        assert connection.recv(100).endswith(b"hello")
    assert above[0].startswith(b"CONNECT allowed.test:443 ")
    assert above[1] == b"anything"


def test_relay_carries_megabytes_both_ways() -> None:
    echo = socket.create_server(("127.0.0.1", 0))
    data = bytes(range(256)) * (1 << 14)

    def serve() -> None:
        connection, _ = echo.accept()
        with connection:
            while block := connection.recv(1 << 16):
                connection.sendall(block)

    listen = relay.Endpoint(None, "127.0.0.1", 0).listen()
    to = relay.Endpoint(None, "127.0.0.1", echo.getsockname()[1])

    def forward() -> None:
        client, _ = listen.accept()
        with client, to.connect() as upstream:
            relay.pump(client, upstream)

    threads = [threading.Thread(target=target) for target in (serve, forward)]
    for thread in threads:
        thread.start()
    with socket.create_connection(listen.getsockname(), 5) as client:
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        received = b"".join(iter(lambda: client.recv(1 << 16), b""))
        sender.join()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert received == data


@pytest.mark.parametrize("text", ["127.0.0.1:80", "host:127.0.0.1", "host:127.0.0.1:http"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(host.MachineError, match="expected host:ADDRESS:PORT"):
        relay.Endpoint.parse(text)
