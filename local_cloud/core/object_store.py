"""The object store that stands for Object Storage, as far as the endpoint itself needs it."""

from functools import cached_property
from pathlib import Path
from typing import Any

from local_cloud.core.config import ObjectStore


class ObjectStoreClient:
    """A thin client; boto3 is imported at the first use, because it takes longer than the rest of the start."""

    def __init__(self, config: ObjectStore) -> None:
        self._config = config

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self._config.endpoint,
            region_name=self._config.region,
            aws_access_key_id=self._config.access_key,
            aws_secret_access_key=self._config.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                connect_timeout=5,
                retries={"total_max_attempts": 3},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def problem_of(self, bucket: str) -> str:
        """Why the bucket cannot be used, or an empty string."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.head_bucket(Bucket=bucket)
        except ClientError as error:
            code = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return f"bucket {bucket!r} does not exist" if code == 404 else f"bucket {bucket!r} answers {code}: {error}"
        except BotoCoreError as error:
            return f"the object store does not answer: {error}"
        return ""

    def upload(self, file: Path, bucket: str, key: str) -> None:
        self._client.upload_file(str(file), bucket, key)
