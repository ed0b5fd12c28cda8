"""A relay that speaks TLS to its clients, and plainly to what is behind."""

import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("trustme", reason="the endpoint's own requirements are not installed here (requirements/stack.txt)")

import trustme

from tests.support import ROOT
from tests.support.waiting import wait_until

SIZE = 1 << 20  # more than one record of TLS, and than one read
PROGRAM = """
import sys
from pathlib import Path
from local_cloud.machines import relay
ends = map(relay.Endpoint.parse, sys.argv[1:3])
relay.serve(*ends, Path(sys.argv[3]))
"""


def test_a_client_s_tls_ends_at_the_relay(tmp_path: Path) -> None:
    authority, pair = trustme.CA(), tmp_path / "pair.pem"
    pair.write_bytes(authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes())
    behind, free = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()

    def echo() -> None:
        connection, _ = behind.accept()
        received = 0
        while received < SIZE:
            data = connection.recv(1 << 16)
            connection.sendall(data)
            received += len(data)

    threading.Thread(target=echo, daemon=True).start()
    ends = [f"host:127.0.0.1:{port}", f"host:127.0.0.1:{behind.getsockname()[1]}"]
    relay = subprocess.Popen([sys.executable, "-c", PROGRAM, *ends, str(pair)], cwd=ROOT)
    try:
        client = wait_until(lambda: socket.create_connection(("127.0.0.1", port)), "the relay does not listen", 30)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with context.wrap_socket(client, server_hostname="localhost") as secured:
            threading.Thread(target=secured.sendall, args=(b"x" * SIZE,), daemon=True).start()
            received = 0
            while received < SIZE:
                received += len(secured.recv(1 << 16))
    finally:
        relay.terminate()
        relay.wait(timeout=15)
    assert received == SIZE
