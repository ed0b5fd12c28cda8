"""The cloud's API as a provider calls it: a dictionary in, a dictionary out; operations are awaited."""

import time
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import grpc
import jwt
from google.protobuf import json_format, message_factory
from google.rpc.code_pb2 import Code
from yandex.cloud.iam.v1.iam_token_service_pb2 import CreateIamTokenRequest
from yandex.cloud.iam.v1.iam_token_service_pb2_grpc import IamTokenServiceStub

from dags.retraining.patience import FRESH, ORDINARY
from local_cloud.core import schema
from stack.common.storage import storage_client
from stack.provider.messages import Json

AUDIENCE = "https://iam.api.cloud.yandex.net/iam/v1/tokens"


class Refused(Exception):
    """The cloud would not do it."""


class Api:
    """One account's calls; `config` is what provider.json says."""

    def __init__(self, config: Json) -> None:
        self.config = config

    @cached_property
    def _channel(self) -> Any:
        root = grpc.ssl_channel_credentials(Path(self.config["ca"]).read_bytes())
        token = grpc.access_token_call_credentials(self._token)
        return grpc.secure_channel(self.config["grpc"], grpc.composite_channel_credentials(root, token))

    @cache  # noqa: B019 (one for each method and as long as the process)
    def _method(self, name: str, sure: bool) -> tuple[Any, Any]:
        """The class of a method's requests and what calls it: `vpc.v1.NetworkService/Get`.

        The real provider repeats its calls as well; `sure`: that something is not found is an answer.
        """
        path = f"/yandex.cloud.{name}"
        method = schema.find_method(path)
        assert method is not None, name
        asked, answered = schema.message_class(method.input_type), schema.message_class(method.output_type)
        channel = grpc.intercept_channel(self._channel, (ORDINARY if sure else FRESH).interceptor())
        return asked, channel.unary_unary(path, asked.SerializeToString, answered.FromString)

    def call(self, name: str, request: Json, sure: bool = False) -> Json:
        """The answer. A name in the request that the method does not know is an error."""
        return told(self._send(name, request, sure))

    def find(self, name: str, request: Json) -> Json | None:
        """The answer of a Get, or None if there is no such thing (any longer)."""
        try:
            return self.call(name, request, sure=True)
        except grpc.RpcError as problem:
            if problem.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise

    def remove(self, name: str, request: Json) -> None:
        """A Delete to its end; what is gone already is gone."""
        try:
            self.do(name, request, sure=True)
        except grpc.RpcError as problem:
            if problem.code() is not grpc.StatusCode.NOT_FOUND:
                raise

    def do(self, name: str, request: Json, sure: bool = False) -> tuple[Json, Json]:
        """Metadata and response of the operation that a method begins, at its end.

        Raises:
            Refused: with the operation's own error.
        """
        operation = self._send(name, request, sure)
        pause = 0.01
        while not operation.done:
            time.sleep(pause)
            pause = min(pause * 2, 0.5)
            operation = self._send("operation.OperationService/Get", {"operation_id": operation.id})
        if operation.HasField("error"):
            raise Refused(f"{Code.Name(operation.error.code)}: {operation.error.message}")
        return unpacked(operation.metadata), unpacked(operation.response)

    def _send(self, name: str, request: Json, sure: bool = False) -> Any:
        kind, function = self._method(name, sure)
        message = kind()
        mask = request.get("update_mask", [])
        json_format.ParseDict({key: value for key, value in request.items() if key != "update_mask"}, message)
        if mask:
            message.update_mask.paths.extend(mask)
        return function(message)

    @cached_property
    def s3(self) -> Any:
        """Object Storage, by an IAM token and without a signature."""
        client = storage_client(self.config["storage"], patience=FRESH)
        client.meta.events.register("before-send.s3", self._identify)
        return client

    def _identify(self, request: Any, **_: Any) -> None:
        request.headers["X-YaCloud-SubjectToken"] = self._token

    @cached_property
    def _token(self) -> str:
        key, now = self.config["key"], int(time.time())
        claims = {"iss": key["service_account_id"], "aud": AUDIENCE, "iat": now, "exp": now + 3600}
        signed = jwt.encode(claims, key["private_key"], algorithm="PS256", headers={"kid": key["id"]})
        root = grpc.ssl_channel_credentials(Path(self.config["ca"]).read_bytes())
        channel = grpc.intercept_channel(grpc.secure_channel(self.config["grpc"], root), FRESH.interceptor())
        return str(IamTokenServiceStub(channel).Create(CreateIamTokenRequest(jwt=signed)).iam_token)


def told(message: Any) -> Json:
    """A message as JSON has it: 64-bit numbers are texts, a message that is not there is not there."""
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def unpacked(value: Any) -> Json:
    if not value.type_url:
        return {}
    name = value.type_url.rpartition("/")[2]
    kind = schema.find_type(name) if name.startswith("yandex.") else None
    message = message_factory.GetMessageClass(kind)() if kind else None
    if message is None or not value.Unpack(message):
        return {}
    return told(message)
