"""Discovery, IAM tokens and the Operation service."""

import time
from collections.abc import Callable

from google.protobuf.message import Message
from yandex.cloud.endpoint import api_endpoint_pb2, api_endpoint_service_pb2
from yandex.cloud.iam.v1 import iam_token_service_pb2

from local_cloud.errors import invalid, not_found
from local_cloud.identity import ACCOUNT_TYPE
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


def handlers() -> dict[str, Callable[[Call], Message]]:
    tokens, operations = "yandex.cloud.iam.v1.IamTokenService", "yandex.cloud.operation.OperationService"
    return {
        "yandex.cloud.endpoint.ApiEndpointService/List": _endpoints,
        "yandex.cloud.endpoint.ApiEndpointService/Get": _endpoint,
        f"{tokens}/Create": _create_token,
        f"{tokens}/CreateForServiceAccount": _create_token_for,
        f"{tokens}/Revoke": _revoke,
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
