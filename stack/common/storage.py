"""The one way to make a client of an object store."""

from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

REGION = "ru-central1"


def storage_client(endpoint: str, key: str | None = None, secret: str | None = None) -> Any:
    """A client of the object store at `endpoint` that signs with this key; without one it signs nothing."""
    signature = {} if key else {"signature_version": UNSIGNED}
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}, **signature),
    )
