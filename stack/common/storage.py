"""The one way to make a client of an object store."""

import base64
import hashlib
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from dags.retraining.patience import ORDINARY, Patience

REGION = "ru-central1"
# Newer clients add checksums of their own to every call. Signed calls with them are taken by now; for an upload that is
# not signed (an IAM token) they would come as a trailer of the body, which the vendor does not say that it takes.
WITHOUT_CHECKSUMS: dict[str, Any] = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


def storage_client(
    endpoint: str, key: str | None = None, secret: str | None = None, patience: Patience = ORDINARY
) -> Any:
    """A client of the object store at `endpoint` that signs with this key; without one it signs nothing."""
    signature: dict[str, Any] = {} if key else {"signature_version": UNSIGNED}
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": 1},  # patience has its own
            **WITHOUT_CHECKSUMS,
            **signature,
        ),
    )
    client.meta.events.register("before-sign.s3.DeleteObjects", give_digest)
    return patience.s3(client)


def give_digest(request: Any, **_: object) -> None:
    """Content-MD5 in place of the newer checksums: Object Storage's page on deleteMultipleObjects asks for it."""
    for name in [name for name in request.headers if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-"))]:
        del request.headers[name]
    digest = hashlib.md5(request.data, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
