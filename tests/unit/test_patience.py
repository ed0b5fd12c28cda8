"""Calls of the cloud are repeated while what refuses them passes by itself; in the end there is one sentence."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import requests
from botocore.exceptions import BotoCoreError, ClientError
from tenacity import wait_none
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.lockbox.v1.secret_service_pb2 import GetSecretRequest
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import (
    SecretServiceServicer,
    SecretServiceStub,
    add_SecretServiceServicer_to_server,
)
from yandexcloud.operations import OperationError, OperationResult

from dags.retraining import patience
from dags.retraining.patience import Patience, sentence
from stack.common.storage import storage_client

Code = grpc.StatusCode


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often is at stake here, not how long."""
    monkeypatch.setattr(patience, "WAIT", wait_none())


class Lockbox(SecretServiceServicer):
    """Refuses with these codes, one a call, then answers; remembers the keys that it was called with."""

    def __init__(self) -> None:
        self.refusals: list[tuple[Code, str]] = []
        self.keys: list[str] = []

    def Get(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.keys.append(dict(context.invocation_metadata())["idempotency-key"])
        if self.refusals:
            context.abort(*self.refusals.pop(0))
        return Secret(id=request.secret_id)


@pytest.fixture
def lockbox() -> Iterator[tuple[Lockbox, Callable[[Patience], Any]]]:
    """(the service, `get(patience)`: one call of it)."""
    service, server = Lockbox(), grpc.server(ThreadPoolExecutor(1))
    add_SecretServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:

        def get(patience: Patience) -> Any:
            made = SimpleNamespace(client=lambda stub, interceptor: stub(grpc.intercept_channel(channel, interceptor)))
            return patience.sdk(made).client(SecretServiceStub).Get(GetSecretRequest(secret_id="e6q"))

        yield service, get
    server.stop(None)


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED])
def test_what_passes_by_itself_is_asked_again_under_the_same_key(lockbox: Any, code: Code) -> None:
    service, get = lockbox
    service.refusals = [(code, "too many requests")] * 4
    assert get(Patience()).id == "e6q"
    assert len(service.keys) == 5
    assert len(set(service.keys)) == 1, "what was done although its answer was lost would be done twice"
    get(Patience())
    assert len(set(service.keys)) == 2


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED])
def test_only_what_is_new_may_come_to_be(lockbox: Any, code: Code) -> None:
    service, get = lockbox
    service.refusals = [(code, "not yet")] * 3
    with pytest.raises(grpc.RpcError, match="not yet"):
        get(Patience())
    assert len(service.keys) == 1
    assert get(Patience(fresh=True)).id == "e6q"


@pytest.mark.parametrize(
    ("code", "text"), [(Code.INVALID_ARGUMENT, "name"), (Code.RESOURCE_EXHAUSTED, "Quota limit exceeded")]
)
def test_what_does_not_pass_is_asked_once(lockbox: Any, code: Code, text: str) -> None:
    service, get = lockbox
    service.refusals = [(code, text)] * 2
    with pytest.raises(grpc.RpcError, match=text):
        get(Patience(fresh=True))
    assert len(service.keys) == 1


def test_in_the_end_it_is_raised_as_it_came(lockbox: Any) -> None:
    service, get = lockbox
    service.refusals = [(Code.UNAVAILABLE, "still away")] * 1000
    with pytest.raises(grpc.RpcError, match="still away") as raised:
        get(Patience(0.2))
    assert sentence(raised.value).startswith("The cloud did not do it: UNAVAILABLE, still away. A service is away")


# ------------------------------------------------------------------------------------------------ Object Storage
@pytest.fixture
def store() -> Iterator[Any]:
    """An object store: `.refusals`, (status, code) or None for a connection that breaks, one a request; `.asked`."""
    state = SimpleNamespace(refusals=[], asked=0)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            state.asked += 1
            refusal = state.refusals.pop(0) if state.refusals else (200, "")
            if refusal is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, code = refusal
            body = f"<Error><Code>{code}</Code><Message>as asked</Message></Error>".encode() if code else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = answer

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    state.client = lambda patience: storage_client(f"http://127.0.0.1:{server.server_port}", "key", "secret", patience)
    yield state
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("refusal", [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"), None])
def test_the_object_store_is_asked_again(store: Any, refusal: Any) -> None:
    store.refusals = [refusal] * 6
    store.client(Patience()).get_object(Bucket="lake", Key="k")
    assert store.asked == 7


@pytest.mark.parametrize(
    "refusal",
    [(403, "AccessDenied"), (403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch"), (404, "NoSuchBucket")],
)
def test_a_bucket_a_role_and_a_key_of_a_second_ago_are_waited_for(store: Any, refusal: Any) -> None:
    store.refusals = [refusal] * 3
    with pytest.raises(ClientError):
        store.client(Patience()).get_object(Bucket="lake", Key="k")
    assert store.asked == 1
    store.client(Patience(fresh=True)).get_object(Bucket="lake", Key="k")
    assert store.asked == 4


def test_that_there_is_no_such_object_is_an_answer(store: Any) -> None:
    store.refusals = [(404, "NoSuchKey")]
    client = store.client(Patience(fresh=True))
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket="lake", Key="k")
    assert store.asked == 1


def test_a_store_that_stays_away_is_told_in_the_end(store: Any) -> None:
    store.refusals = [(503, "SlowDown")] * 1000
    with pytest.raises(ClientError) as raised:
        store.client(Patience(0.2)).get_object(Bucket="lake", Key="k")
    assert store.asked > 2
    assert "Object Storage answers 503 SlowDown to GetObject, as asked. A service is away" in sentence(raised.value)


# ------------------------------------------------------------------------------------------------ sentences
def answered(status: int) -> requests.HTTPError:
    answer = requests.Response()
    answer.status_code, answer.reason, answer.url = status, "Nope", "https://airflow.test/api"
    return requests.HTTPError(response=answer)


def operation(code: int, message: str) -> OperationError:
    text = f"Error Yandex.Cloud operation. ID: c9q. Error code: {code}. Details: []. Message: {message}. Meta: None."
    return OperationError(text, OperationResult(None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("problem", "what", "way"),
    [
        (requests.ConnectionError("Connection refused"), "ConnectionError: Connection refused", "A service is away"),
        (answered(403), "https://airflow.test/api answers 403 Nope", "Give the account that asks the role"),
        (answered(502), "answers 502", "A service is away"),
        (ConnectionResetError(104, "reset"), "ConnectionResetError", "A service is away"),
        (BotoCoreError(), "Object Storage, ", "The message says what"),
        (operation(8, "disks"), "RESOURCE_EXHAUSTED, disks", "`yc quota-manager quota-limit list`"),
        (operation(13, "Traceback of a job"), "INTERNAL, Traceback of a job", "The message says what"),
    ],
)
def test_whatever_it_was_a_person_gets_one_sentence_and_a_way_on(problem: Any, what: str, way: str) -> None:
    said = sentence(problem)
    assert said is not None
    assert said.startswith("The cloud did not do it: ")
    assert what in said
    assert way in said
    assert "\n" not in said


def test_a_fault_of_this_program_is_no_sentence() -> None:
    assert sentence(KeyError("x")) is None
    assert sentence(ValueError("x")) is None


def test_a_program_of_one_machine_is_not_the_cloud() -> None:
    with pytest.raises(requests.ConnectionError) as failed:
        requests.get("http://127.0.0.1:1/api/v2/dags", timeout=5)
    said = patience.sentence(failed.value) or ""
    assert said.startswith("A program on this machine did not do it: ConnectionError")
    assert "`make status` says what runs" in said
