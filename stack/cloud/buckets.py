"""Emptying a bucket for good: objects, their versions, delete markers, and uploads that never ended."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from stack.common.console import say
from stack.common.errors import StackError

# What a store answers to a batch whose checksum is missing, of a kind it does not know, or not its own.
OF_THE_CHECKSUM = ("BadDigest", "InvalidDigest", "MissingContentMD5", "MissingDigest")


def code_of(problem: ClientError) -> str:
    return str(problem.response["Error"]["Code"])


def empty(s3: Any, bucket: str) -> int:
    """Deletes everything in the bucket; a bucket that is not there is empty. Returns how many things it deleted.

    Raises:
        StackError: some could not be deleted; names the first.
    """
    deleted = 0
    try:
        # Always from the beginning: what is gone needs no marker to go on from.
        while page := first_page(s3, bucket):
            deleted += delete(s3, bucket, page)
        for upload in uploads(s3, bucket):
            s3.abort_multipart_upload(Bucket=bucket, **upload)
            deleted += 1
    except ClientError as problem:
        if code_of(problem) in ("NoSuchBucket", "404"):
            return 0
        raise
    say(f"  s3://{bucket}: {deleted} objects deleted" if deleted else f"  s3://{bucket}: empty")
    return deleted


def first_page(s3: Any, bucket: str) -> list[dict[str, str]]:
    """Up to a thousand versions and delete markers; of a store that has no versions, objects."""
    try:
        page = s3.list_object_versions(Bucket=bucket)
        both = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in both]
    except ClientError as problem:
        if code_of(problem) not in ("NotImplemented", "501"):
            raise
        return [{"Key": each["Key"]} for each in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


def uploads(s3: Any, bucket: str) -> Iterator[dict[str, str]]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        yield from ({"Key": each["Key"], "UploadId": each["UploadId"]} for each in page.get("Uploads", ()))


def delete(s3: Any, bucket: str, batch: list[dict[str, str]]) -> int:
    """Deletes up to a thousand things at once; one by one, where the store takes none of the batch's checksums."""
    try:
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
    except ClientError as problem:
        if code_of(problem) not in OF_THE_CHECKSUM and "md5" not in str(problem).lower():
            raise
        for each in batch:
            s3.delete_object(Bucket=bucket, **each)
        return len(batch)
    for error in answer.get("Errors", ()):
        raise StackError(
            f"s3://{bucket}/{error['Key']} cannot be deleted: {error['Code']}, {error['Message']}. Give the account "
            "the role storage.admin on the folder, wait until a retention lock has ended, then run this again."
        )
    return len(batch)
