"""What Object Storage refuses, whatever the store behind thinks of it.

Sources: docs/storage/s3/api-ref (object/deletemultipleobjects: "the Content-MD5 and Content-Length headers are
required"; at most 1,000 keys), docs/storage/concepts/bucket (names). That a checksum behind the body of an *unsigned*
upload is refused is not documented either way; a client that sends none is right in both cases.
"""

import base64
import binascii
import hashlib
import re
from xml.etree import ElementTree

from local_cloud.object_storage import errors
from local_cloud.object_storage.request import Request
from local_cloud.object_storage.signature import is_signed

MOST_KEYS = 1000
_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def check(request: Request) -> None:
    """Raises `S3Error`."""
    payload = request.headers.get("x-amz-content-sha256", "")
    if not is_signed(request) and ("x-amz-trailer" in request.headers or payload.startswith("STREAMING-UNSIGNED")):
        raise errors.unsigned_trailer(request.headers.get("x-amz-trailer", payload))
    batch = request.method == "POST" and "delete" in request.query
    if batch and "content-md5" not in request.headers:
        raise errors.missing_digest()
    # A body in signed chunks is looked at by the store behind, which takes it apart: the digest is of what is inside.
    if "content-md5" in request.headers and not payload.startswith("STREAMING"):
        _check_digest(request)
    if batch:
        _check_keys(request.body)
    if request.method == "PUT" and not request.key and not request.query and not _BUCKET.fullmatch(request.bucket):
        raise errors.invalid_bucket_name(request.bucket)


def _check_digest(request: Request) -> None:
    given = request.headers["content-md5"]
    try:
        digest = base64.b64decode(given, validate=True)
    except binascii.Error:
        raise errors.invalid_digest(given) from None
    if len(digest) != 16:
        raise errors.invalid_digest(given)
    actual = hashlib.md5(request.body, usedforsecurity=False).digest()
    if digest != actual:
        raise errors.bad_digest(given, base64.b64encode(actual).decode())


def _check_keys(body: bytes) -> None:
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as problem:
        raise errors.malformed("Delete", problem) from None
    count = sum(1 for child in root if child.tag.rpartition("}")[2] == "Object")
    if not 1 <= count <= MOST_KEYS:
        raise errors.too_many_keys(count, MOST_KEYS)
