"""What the tests need: the endpoint as a process, an object store, an image whose Spark is a shell script."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import grpc
import jwt
import requests
import yandexcloud
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from yandex.cloud.access import access_pb2
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandexcloud import _operation_waiter

from tests.support import ROOT
from tests.support.waiting import wait_until

CLOUD, FOLDER = "b1gcloud000000000001", "b1gfolder00000000001"
AIRFLOW, DATAPROC, DEPLOYER, NOBODY = (f"aje{name:0<17}" for name in ("airflow", "dataproc", "deployer", "nobody"))
NETWORK, SUBNET = "enpnetwork0000000001", "e9bsubnet00000000001"
GATEWAY, ROUTES = "enpgateway0000000001", "enproutes00000000001"
KEY_ID = "ajekey00000000000001"
BUCKET = "logs"


@contextmanager
def impatient(times: int) -> Iterator[None]:
    """The SDK's wrapper looks at an operation once a second; that alone is so many times quicker, all else its own."""
    clock = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / times), time=time.time)
    with patch.object(_operation_waiter, "time", clock):
        yield


def stack_python() -> str:
    """The interpreter that has the endpoint's requirements: FRAUD_STACK_PYTHON, or the one that runs the tests."""
    return os.environ.get("FRAUD_STACK_PYTHON", sys.executable)


def new_key() -> tuple[str, str]:
    """A key pair for JWTs, as PEM: private (PKCS 8), public."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class ObjectStore:
    """An S3 server that knows one bucket, and those that are made in it.

    `objects` maps bucket/key to content, `requests` has what was asked of it.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.buckets = {BUCKET}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        objects, requests, buckets = self.objects, self.requests, self.buckets

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                path = self.path.partition("?")[0].strip("/")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                requests.append((self.command, self.path, dict(self.headers.items())))
                content = objects.get(path, b"") if self.command == "GET" else b""
                bucket, _, key = path.partition("/")
                if self.command == "PUT" and not key:
                    buckets.add(bucket)
                elif self.command == "PUT":
                    objects[path] = body
                elif self.command == "GET" and not key:
                    content = listed(buckets, bucket, objects)
                self.send_response(200 if bucket in {*buckets, ""} else 404)
                if self.command == "DELETE" and not key:
                    buckets.discard(bucket)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("ETag", '"0"')
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def listed(buckets: set[str], bucket: str, objects: dict[str, bytes]) -> bytes:
    """The buckets, or the keys of one of them, as S3 tells them."""
    if not bucket:
        names = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in sorted(buckets))
        return f"<ListAllMyBucketsResult><Buckets>{names}</Buckets></ListAllMyBucketsResult>".encode()
    keys = [name.partition("/")[2] for name in objects if name.startswith(f"{bucket}/")]
    contents = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    return f"<ListBucketResult>{contents}</ListBucketResult>".encode()


def fake_image(folder: Path) -> dict[str, str]:
    """An image whose `spark-submit` runs the main file, given as file:///…, with the image's interpreter."""
    home = folder / "site" / "pyspark"
    (home / "bin").mkdir(parents=True)
    (home / "__init__.py").touch()
    metadata = folder / "site" / "pyspark-3.5.6.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pyspark\nVersion: 3.5.6\n")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder}/site exec {stack_python()} "$@"\n')
    submit = home / "bin" / "spark-submit"
    submit.write_text(
        '#!/bin/sh\necho "24/01/01 00:00:00 INFO SparkContext: started"\necho "COMMAND $*"\n'
        'while [ "${1#file://}" = "$1" ]; do shift; done\nmain="${1#file://}"; shift\n'
        '"$PYSPARK_PYTHON" "$main" "$@"; status=$?\n'
        'echo "24/01/01 00:00:01 INFO ShutdownHookManager: bye"\nexit $status\n'
    )
    for file in (python, submit):
        file.chmod(0o755)
    return {"python": str(python), "java_home": "/nonexistent", "jars": str(folder / "jars")}


class Endpoint:
    """One endpoint: its configuration, its process, and clients of it."""

    def __init__(self, folder: Path, store_url: str, images: dict[str, Any], **changes: Any) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.private_key, public_key = new_key()
        roles = ["dataproc.editor", "vpc.user", "iam.serviceAccounts.user"]
        self.config: dict[str, Any] = {
            "state": str(self.state),
            "cloud_id": CLOUD,
            "folder_id": FOLDER,
            "service_accounts": {
                "airflow": {"id": AIRFLOW, "roles": roles},
                "dataproc": {"id": DATAPROC, "roles": ["dataproc.agent", "dataproc.provisioner"]},
                "deployer": {"id": DEPLOYER, "roles": ["admin"], "key": {"id": KEY_ID, "public_key": public_key}},
                "nobody": {"id": NOBODY},
            },
            "instances": [{"name": name, "service_account": name} for name in ("airflow", "nobody")],
            "resources": [
                {"@type": "yandex.cloud.vpc.v1.Network", "id": NETWORK, "folderId": FOLDER, "name": "default"},
                {"@type": "yandex.cloud.vpc.v1.Gateway", "id": GATEWAY, "folderId": FOLDER, "name": "nat"},
                {
                    "@type": "yandex.cloud.vpc.v1.RouteTable",
                    "id": ROUTES,
                    "folderId": FOLDER,
                    "name": "nat",
                    "networkId": NETWORK,
                    "staticRoutes": [{"destinationPrefix": "0.0.0.0/0", "gatewayId": GATEWAY}],
                },
                {
                    "@type": "yandex.cloud.vpc.v1.Subnet",
                    "id": SUBNET,
                    "folderId": FOLDER,
                    "name": "default-a",
                    "networkId": NETWORK,
                    "zoneId": "ru-central1-a",
                    "v4CidrBlocks": ["10.128.0.0/24"],
                    "routeTableId": ROUTES,
                },
            ],
            "object_store": {"endpoint": store_url, "access_key": "local", "secret_key": "object-store-secret"},
            "images": images,
            "spark_defaults": {"spark.master": "local[1]"},
            "timings": {"default": 0.05},
            **changes,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Endpoint":
        """Start and wait until it serves."""
        process = self.launch()
        wait_until(lambda: self.file.exists() or process.poll() is not None, "the endpoint does not serve")
        assert process.poll() is None, self.log()
        for name in ("address", "metadata"):
            self.__dict__.pop(name, None)
        return self

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "config.json"
        file.touch(0o600)
        file.write_text(json.dumps(self.config))
        self.file.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [stack_python(), "-m", "local_cloud", "--config", str(file)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ},
            )
        return self.process

    @contextmanager
    def serving(self) -> Iterator["Endpoint"]:
        """The endpoint, started; in the end it must have stopped well."""
        yield self.start()
        assert self.stop() == 0, self.log()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=120)

    @property
    def file(self) -> Path:
        return self.state / "endpoint.json"

    def log(self) -> str:
        return (self.folder / "log").read_text()

    @cached_property
    def address(self) -> dict[str, Any]:
        """What endpoint.json says."""
        return dict(json.loads(self.file.read_text()))

    def sdk(self, **credentials: Any) -> yandexcloud.SDK:
        """The unmodified SDK, by default with the deployer's key (role admin)."""
        key = {"id": KEY_ID, "service_account_id": DEPLOYER, "private_key": self.private_key}
        credentials = credentials or {"service_account_key": key}
        ca = Path(self.address["ca"]).read_bytes()
        return yandexcloud.SDK(endpoint=self.address["grpc"], root_certificates=ca, **credentials)

    def machine(self, name: str) -> yandexcloud.SDK:
        """The SDK as it works on a machine: without credentials, by the machine's metadata service."""
        return self.sdk(iam_token=self.token(name))

    def token(self, name: str) -> str:
        """A token from a machine's metadata service."""
        return metadata_token(self.address["metadata"][name])

    def token_of_deployer(self) -> str:
        """A token of the account with the role admin, by its key."""
        now = int(time.time())
        audience = "https://iam.api.cloud.yandex.net/iam/v1/tokens"
        claims = {"iss": DEPLOYER, "aud": audience, "iat": now, "exp": now + 600}
        signed = jwt.encode(claims, self.private_key, algorithm="PS256", headers={"kid": KEY_ID})
        return str(self.rest("POST", "/iam/v1/tokens", json={"jwt": signed}).json()["iamToken"])

    def rest(self, verb: str, path: str, token: str = "", seconds: float = 60, **arguments: Any) -> requests.Response:
        """One REST call."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        session = requests.Session()
        session.trust_env = False
        url = f"https://{self.address['rest']}{path}"
        return session.request(verb, url, headers=headers, verify=self.address["ca"], timeout=seconds, **arguments)

    def faults(self, *rules: dict[str, Any]) -> None:
        """Put these faults in force, in place of those before."""
        draft = self.state / "faults.new"
        draft.write_text(json.dumps(rules))
        draft.replace(self.state / "faults.json")


def metadata_token(address: str) -> str:
    url = f"http://{address}/computeMetadata/v1/instance/service-accounts/default/token"
    answer = requests.get(url, headers={"Metadata-Flavor": "Google"}, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def grant(sdk: yandexcloud.SDK, stub: type, resource: str, role: str, subject: str) -> None:
    binding = access_pb2.AccessBinding(role_id=role, subject=access_pb2.Subject(id=subject, type="serviceAccount"))
    delta = access_pb2.AccessBindingDelta(action=access_pb2.ADD, access_binding=binding)
    request = access_pb2.UpdateAccessBindingsRequest(resource_id=resource, access_binding_deltas=[delta])
    assert not finished(sdk, sdk.client(stub).UpdateAccessBindings(request)).HasField("error")


def finished(sdk: yandexcloud.SDK, operation: Any, seconds: float = 120) -> Any:
    """The operation when it is done (the SDK's own waiter looks only once a second)."""
    stub = sdk.client(OperationServiceStub)
    box = [operation]

    def done() -> bool:
        box[0] = stub.Get(GetOperationRequest(operation_id=operation.id))
        return bool(box[0].done)

    wait_until(done, f"operation {operation.id} is not done", seconds)
    return box[0]


def result(sdk: yandexcloud.SDK, operation: Any, kind: type) -> Any:
    """The response of an operation that must end well."""
    done = finished(sdk, operation)
    assert not done.HasField("error"), done.error
    message = kind()
    assert done.response.Unpack(message), done.response.type_url
    return message


def refusal(call: Callable[[], Any]) -> grpc.RpcError:
    """The error of a call that must be refused."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"not refused: {answer}")
