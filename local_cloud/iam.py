"""Discovery, IAM tokens, keys of service accounts, and the Operation service."""

import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.protobuf.message import Message
from yandex.cloud.endpoint import api_endpoint_pb2, api_endpoint_service_pb2
from yandex.cloud.iam.v1 import iam_token_service_pb2, key_pb2

from local_cloud import service
from local_cloud.errors import invalid, not_found, precondition
from local_cloud.identity import ACCOUNT_TYPE, KEY_TYPE
from local_cloud.operations import Call, timestamp

# The ids under which clients look services up; every one of them lives at the same address here.
ENDPOINT_IDS = [
    "ai-foundation-models",
    "ai-llm",
    "ai-speechkit",
    "ai-stt",
    "ai-translate",
    "ai-vision",
    "ai-vision-ocr",
    "alb",
    "apploadbalancer",
    "audittrails",
    "backup",
    "baremetal",
    "billing",
    "cdn",
    "certificate-manager",
    "certificate-manager-data",
    "certificate-manager-private-ca",
    "cloud-registry",
    "compute",
    "connection-manager",
    "container-registry",
    "dataproc",
    "dataproc-manager",
    "datasphere",
    "datatransfer",
    "dns",
    "endpoint",
    "iam",
    "iot-devices",
    "iot-data",
    "kms",
    "kms-crypto",
    "load-balancer",
    "loadtesting",
    "lockbox",
    "lockbox-payload",
    "log-ingestion",
    "log-reading",
    "logging",
    "managed-airflow",
    "managed-clickhouse",
    "managed-elasticsearch",
    "managed-greenplum",
    "managed-kafka",
    "managed-kubernetes",
    "managed-metastore",
    "managed-mongodb",
    "managed-mysql",
    "managed-opensearch",
    "managed-postgresql",
    "managed-redis",
    "managed-spark",
    "managed-sqlserver",
    "managed-trino",
    "marketplace",
    "monitoring",
    "operation",
    "organization-manager",
    "organizationmanager",
    "quota",
    "quota-manager",
    "resource-manager",
    "resourcemanager",
    "serverless-apigateway",
    "serverless-containers",
    "serverless-eventrouter",
    "serverless-functions",
    "serverless-triggers",
    "serverless-workflows",
    "smart-captcha",
    "smart-web-security",
    "storage",
    "storage-api",
    "trino",
    "vpc",
    "ydb",
]


def audiences(grpc_address: str) -> list[str]:
    """The audiences of a service account's JWT: the cloud's, and the one that the SDK derives from our own address."""
    port = grpc_address.rpartition(":")[2]
    hosts = ("api.cloud.yandex.net", f"localhost:{port}", f"127.0.0.1:{port}")
    return [f"https://iam.{host}/iam/v1/tokens" for host in hosts]


def _endpoints(call: Call) -> Message:
    answer = api_endpoint_service_pb2.ListApiEndpointsResponse()
    for name in ENDPOINT_IDS:
        answer.endpoints.add(id=name, address=call.cloud.addresses[call.protocol])
    return answer


def _endpoint(call: Call) -> Message:
    if call.request.api_endpoint_id not in ENDPOINT_IDS:
        raise not_found("ApiEndpoint", call.request.api_endpoint_id)
    return api_endpoint_pb2.ApiEndpoint(id=call.request.api_endpoint_id, address=call.cloud.addresses[call.protocol])


def _create_token(call: Call) -> Message:
    if not call.request.jwt:
        raise invalid("CreateIamTokenRequest: only 'jwt' is accepted here; there are no Yandex passport accounts")
    return _token(call, call.cloud.identity.verify_jwt(call.request.jwt))


def _create_token_for(call: Call) -> Message:
    return _token(call, call.cloud.store.get(ACCOUNT_TYPE, call.request.service_account_id).key)


def _token(call: Call, subject: str) -> Message:
    token, expires = call.cloud.identity.issue(subject)
    return iam_token_service_pb2.CreateIamTokenResponse(iam_token=token, expires_at=timestamp(expires))


def _revoke(call: Call) -> Message:
    return iam_token_service_pb2.RevokeIamTokenResponse(subject_id=call.cloud.identity.revoke(call.request.iam_token))


def _default_account(call: Call) -> None:
    """Whoever names no service account means himself; raises NOT_FOUND for one that does not exist."""
    call.request.service_account_id = call.request.service_account_id or call.subject
    call.cloud.store.get(ACCOUNT_TYPE, call.request.service_account_id)


def _create_key(call: Call) -> Message:
    """A new authorised key: the public half stays here, the private one is told once."""
    _default_account(call)
    bits = 4096 if call.request.key_algorithm == key_pb2.Key.RSA_4096 else 2048
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    answer: Any = service.create_now(call)
    answer.key.public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    answer.private_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    row = call.cloud.store.get(KEY_TYPE, answer.key.id)
    row.message.CopyFrom(answer.key)
    call.cloud.store.save(row)
    return answer


def _create_access_key(call: Call) -> Message:
    """A static key for Object Storage: always the one key that the S3 server behind this endpoint knows."""
    _default_account(call)
    store = call.cloud.config.object_store
    if store is None:
        raise precondition("this endpoint has no object store: set 'object_store' in its configuration")
    answer: Any = service.create_now(call)
    row = call.cloud.store.get(answer.access_key.DESCRIPTOR.full_name, answer.access_key.id)
    row.message.key_id = answer.access_key.key_id = store.access_key
    call.cloud.store.save(row)
    answer.secret = store.secret_key
    return answer


def handlers() -> dict[str, Callable[[Call], Message]]:
    tokens, operations = "yandex.cloud.iam.v1.IamTokenService", "yandex.cloud.operation.OperationService"
    return {
        "yandex.cloud.endpoint.ApiEndpointService/List": _endpoints,
        "yandex.cloud.endpoint.ApiEndpointService/Get": _endpoint,
        f"{tokens}/Create": _create_token,
        f"{tokens}/CreateForServiceAccount": _create_token_for,
        f"{tokens}/Revoke": _revoke,
        "yandex.cloud.iam.v1.KeyService/Create": _create_key,
        "yandex.cloud.iam.v1.awscompatibility.AccessKeyService/Create": _create_access_key,
        f"{operations}/Get": lambda call: call.cloud.operations.get(call.request.operation_id),
        f"{operations}/Cancel": lambda call: call.cloud.operations.cancel(call.request.operation_id),
    }


class TokenCache:
    """One identity's current token, renewed when a tenth of its life is left, as the cloud's metadata service does."""

    def __init__(self, issue: Callable[[str], tuple[str, float]], subject: str) -> None:
        self._issue, self._subject = issue, subject
        self._token, self._issued, self._expires = "", 0.0, 0.0

    def get(self) -> tuple[str, float]:
        """The token and the seconds that it still lives."""
        now = time.time()
        if self._expires - now < (self._expires - self._issued) / 10 or not self._token:
            self._token, self._expires = self._issue(self._subject)
            self._issued = now
        return self._token, self._expires - now
