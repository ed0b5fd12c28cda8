"""Who asks: an AWS signature (version 4), or an IAM token. And our own signature for the store behind."""

import hmac
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_cloud.core.config import ObjectStore
from local_cloud.core.identity import token_hash
from local_cloud.object_storage import errors
from local_cloud.object_storage.request import Request

TOKEN = "x-yacloud-subjecttoken"  # noqa: S105 (the name of a header)
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)")
# Whether an IAM token is one that the cloud has issued and that still holds.
Tokens = Callable[[str], bool]


def is_signed(request: Request) -> bool:
    """Whether there is an AWS signature, in the header or in the address (a presigned one)."""
    return "authorization" in request.headers or "X-Amz-Signature" in request.query or "Signature" in request.query


def verify(request: Request, store: ObjectStore) -> None:
    """Raises `S3Error` unless the header's signature was made with the store's key."""
    match = _SIGNED.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        raise errors.wrong_signature()
    if match[1] != store.access_key:
        raise errors.unknown_key(match[1])
    region = match[2].split("/")[1]
    auth = S3SigV4Auth(Credentials(store.access_key, store.secret_key), "s3", region)
    signed = {name: request.headers.get(name, "") for name in match[3].split(";")}
    again = AWSRequest(request.method, f"http://{request.headers.get('host', '')}{request.target}", headers=signed)
    again.context["timestamp"] = request.headers.get("x-amz-date", "")
    expected = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    if not hmac.compare_digest(expected, match[4]):
        raise errors.wrong_signature()


def signed(request: Request, store: ObjectStore) -> dict[str, str]:
    """The headers of this request to the store behind, signed with its key; path style, without what signed before."""
    dropped = {"authorization", "host", TOKEN, "x-amz-date", "x-amz-content-sha256", "connection", "content-length"}
    headers = {name: value for name, value in request.headers.items() if name not in dropped}
    query = urlsplit(request.target).query
    url = f"{store.endpoint}{request.path}{f'?{query}' if query else ''}"
    again = AWSRequest(request.method, url, headers=headers, data=request.body)
    S3SigV4Auth(Credentials(store.access_key, store.secret_key), "s3", store.region).add_auth(again)
    return dict(again.headers.items())


def tokens_of(state: Path) -> Tokens:
    """The tokens that the endpoint with this state folder has issued."""

    def holds(token: str) -> bool:
        question = "SELECT 1 FROM tokens WHERE hash = ? AND expires > ?"
        with closing(sqlite3.connect(f"file:{state / 'state.db'}?mode=ro", uri=True)) as database:
            return database.execute(question, (token_hash(token), time.time())).fetchone() is not None

    return holds
