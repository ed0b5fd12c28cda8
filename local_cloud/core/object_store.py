"""The object store that stands for Object Storage, as far as the endpoint itself needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc

from local_cloud.core.config import ObjectStore
from local_cloud.core.errors import ApiError


@contextmanager
def _told() -> Iterator[None]:
    """What the object store answers wrongly, or not at all, as an error of the API."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as problem:
        raise ApiError(grpc.StatusCode.UNAVAILABLE, f"the object store does not answer: {problem}") from problem


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

    def buckets(self) -> list[str]:
        """The names of all buckets, in order; raises UNAVAILABLE if the store does not answer."""
        with _told():
            return sorted(each["Name"] for each in self._client.list_buckets()["Buckets"])

    def make(self, bucket: str) -> bool:
        """False: there is a bucket of that name already."""
        with _told():
            return bucket not in self.buckets() and bool(self._client.create_bucket(Bucket=bucket))

    def remove(self, bucket: str) -> bool:
        """False: there is something in it."""
        with _told():
            found = self._client.list_objects_v2(Bucket=bucket, MaxKeys=1).get("Contents", ())
            return not found and bool(self._client.delete_bucket(Bucket=bucket))

    def upload(self, file: Path, bucket: str, key: str) -> None:
        self._client.upload_file(str(file), bucket, key)
