"""What passes through the server passes a disk: a file larger than the server's memory limit goes up and comes down.

The limit is in force: a memory cgroup of the test's own. The machine's /tmp is in memory, as Debian 13 has it.
"""

import os
import re
import ssl
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

import pytest

from stack.common.mlflow_role import FILES
from tests.support import mlflow_server, nginx
from tests.support.mlflow_server import Server, free_port
from tests.support.waiting import wait_until

MEBIBYTE = 1 << 20
DEFAULTS = (FILES.parent / "defaults/main.yml").read_text()
LIMIT = int(re.findall(r"(?m)^mlflow_memory_max: (\d+)M$", DEFAULTS)[0]) * MEBIBYTE
SIZE = LIMIT + 100 * MEBIBYTE  # more than could ever be held in it
ZEROS = bytes(MEBIBYTE)


@dataclass
class Cgroup:
    """A memory cgroup; `limit` and `peak` are the names of its files."""

    folder: Path
    limit: str
    peak: str

    def take(self) -> None:
        """Puts the calling process into it."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))


@pytest.fixture
def cgroup() -> Iterator[Cgroup]:
    """With the role's limit; of version 1 or 2, whichever has a memory controller here."""
    name = f"fraud-test-{uuid.uuid4().hex[:8]}"
    v1, v2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    controllers = v2 / "cgroup.subtree_control"
    if os.access(v1 / "memory.limit_in_bytes", os.R_OK) and os.access(v1, os.W_OK):
        made = Cgroup(v1 / name, "memory.limit_in_bytes", "memory.max_usage_in_bytes")
    elif controllers.exists() and "memory" in controllers.read_text() and os.access(v2, os.W_OK):
        made = Cgroup(v2 / name, "memory.max", "memory.peak")
    else:
        pytest.skip("no memory cgroup can be made here (root, and a memory controller below /sys/fs/cgroup)")
    made.folder.mkdir()
    try:
        (made.folder / made.limit).write_text(str(LIMIT))
        yield made
    finally:
        made.folder.rmdir()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, which stands for the machine's /tmp."""
    shared = Path("/dev/shm")
    kind = subprocess.run(["stat", "-fc", "%T", shared], capture_output=True, text=True).stdout.strip()
    if kind != "tmpfs":
        pytest.skip(f"/dev/shm is `{kind}`, expected tmpfs")
    folder = shared / f"fraud-test-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-r", folder], check=True)


@dataclass
class Store:
    """An object store that holds one object of zeros; `sent`: bytes that came up, `url`: where it listens."""

    url: str = ""
    sent: int = 0
    lock: Lock = field(default_factory=Lock)


@contextmanager
def storing() -> Iterator[Store]:
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, body: bytes = b"", **headers: str) -> None:
            self.send_response(200)
            for key, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            left = int(self.headers["Content-Length"])
            while left:
                got = len(self.rfile.read(min(left, MEBIBYTE)))
                left -= got
                with store.lock:
                    store.sent += got
            self.answer(ETag='"part"')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind = "InitiateMultipartUploadResult" if self.path.endswith("uploads") else "CompleteMultipartUploadResult"
            self.answer(f"<{kind}><UploadId>1</UploadId><ETag>1</ETag></{kind}>".encode())

        def do_HEAD(self) -> None:
            self.answer(Content_Length=str(SIZE), ETag='"whole"')

        def do_GET(self) -> None:
            if "list-type=" in self.path:
                self.answer(b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
                return
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
            assert asked
            first, last = int(asked[1]), int(asked[2] or SIZE - 1)
            self.send_response(206)
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Content-Range", f"bytes {first}-{last}/{SIZE}")
            self.end_headers()
            left = last - first + 1
            while left:
                left -= self.wfile.write(ZEROS[: min(left, MEBIBYTE)])

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.verify
def test_a_file_larger_than_the_limit_goes_up_and_down(
    programs: Path, cgroup: Cgroup, memory: Path, tmp_path: Path
) -> None:
    program = nginx.program()
    if program is None:
        pytest.skip("nginx is missing: `apt-get install nginx` brings it (its service may be off)")
    with storing() as store:
        server = mlflow_server.described(
            tmp_path / "mlflow",
            programs,
            hosts=["127.0.0.1"],
            artifacts="s3://artifacts/mlflow",
            settings={"MLFLOW_S3_ENDPOINT_URL": store.url, "AWS_DEFAULT_REGION": "x", "TMPDIR": str(memory)},
            secrets={"aws": "[default]\naws_access_key_id = x\naws_secret_access_key = x\n"},
        )
        server.prepare()
        (tmp_path / "nginx").mkdir()
        with (
            mlflow_server.serving(server, tmp_path / "log", cgroup.take) as mlflow,
            nginx.started(
                tmp_path / "nginx", programs / "python", program, free_port(), server.port, cgroup.take
            ) as proxy,
        ):
            server.permit()
            asked = Server(proxy.url, server.passwords, server.experiment, server.model, str(proxy.ca))
            path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment(asked)}/large.bin"
            status, said = transfer(asked, "PUT", path)
            assert (status, store.sent) == (200, SIZE), f"{said[:300]}; {(tmp_path / 'log').read_text()[-1000:]}"
            assert transfer(asked, "GET", path) == (200, str(SIZE))
            assert mlflow.poll() is None
            assert int((cgroup.folder / cgroup.peak).read_text()) <= LIMIT
            # Whatever was written on the way is gone, and nothing of it was ever in memory.
            cache = server.folder / "cache" / "serve"
            wait_until(lambda: not list(cache.iterdir()), "the temporary files are gone", 60)
            assert list(memory.iterdir()) == []


def experiment(asked: Server) -> str:
    path = f"experiments/get-by-name?experiment_name={asked.experiment}"
    return asked.api("admin", path).json()["experiment"]["experiment_id"]


def transfer(asked: Server, method: str, path: str) -> tuple[int, str]:
    """Status, and what was answered; of a file that comes down its size."""
    connection = HTTPSConnection(asked.url.split("//")[1], context=ssl.create_default_context(cafile=asked.ca))
    headers = asked.credentials("trainer") | ({"Content-Length": str(SIZE)} if method == "PUT" else {})
    body = (ZEROS[: min(MEBIBYTE, SIZE - sent)] for sent in range(0, SIZE, MEBIBYTE)) if method == "PUT" else None
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    if method == "PUT" or answer.status != 200:
        return answer.status, answer.read().decode(errors="replace")
    size = 0
    while chunk := answer.read(MEBIBYTE):
        size += len(chunk)
    return answer.status, str(size)


def test_nothing_of_nginx_lies_in_tmp() -> None:
    """Where nginx puts bodies down, if ever, is below its StateDirectory."""
    template = (nginx.ROLE / "templates/nginx.conf.j2").read_text()
    places = re.findall(r"(?m)^\s*(?:client_body|proxy|fastcgi|scgi|uwsgi)_temp_path (\S+);", template)
    assert len(places) == 5
    assert all(place.startswith("/var/lib/nginx/") for place in places)
    assert "StateDirectory=nginx" in (nginx.ROLE / "templates/nginx.service.j2").read_text()
    assert "proxy_request_buffering off;" in template
