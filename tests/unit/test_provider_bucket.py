"""How the stand-in for Terraform's provider removes a bucket: as the real one, with what comes while it does."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stack.provider.kinds.api import Refused
from stack.provider.kinds.storage import Bucket


class Store:
    """What of S3's client is used; `late` are objects that are written while the bucket is being emptied."""

    def __init__(self, keys: list[str], late: list[str]) -> None:
        self.keys, self.late, self.gone = keys, late, False

    def get_paginator(self, _: str) -> "Store":
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": key} for key in self.keys[at : at + 2]]} for at in range(0, len(self.keys), 2)]

    def delete_object(self, Key: str, **_: str) -> None:
        self.keys.remove(Key)

    def delete_bucket(self, **_: str) -> None:
        self.keys += [self.late.pop()] if self.late else []
        if self.keys:
            raise ClientError({"Error": {"Code": "BucketNotEmpty"}}, "DeleteBucket")
        self.gone = True


def delete(store: Store, force: bool) -> None:
    Bucket().delete(SimpleNamespace(s3=store), {"id": "b", "force_destroy": force})  # type: ignore[arg-type]


def test_every_page_goes_and_what_is_written_meanwhile() -> None:
    store = Store(list("abcde"), ["f", "g"])
    delete(store, force=True)
    assert store.gone


def test_one_to_which_somebody_writes_on_and_on_is_not_waited_for() -> None:
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        delete(Store(["a"], list("bcdefghi")), force=True)


def test_a_protected_one_keeps_what_it_has() -> None:
    store = Store(list("abc"), [])
    with pytest.raises(Refused, match="not empty"):
        delete(store, force=False)
    assert store.keys == list("abc")
