"""What `make upload` brings into a lake, and what it refuses to mix."""

import io
import re
from pathlib import Path
from typing import Any

import pytest

from stack.common.errors import StackError
from stack.running.arrivals import FolderSource, GeneratedSource
from stack.running.upload import upload
from tests.unit.test_arrivals import weekly


class Store:
    """What of S3's client is used here, with its objects in memory."""

    class exceptions:
        class NoSuchKey(Exception):
            pass

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_paginator(self, _: str) -> "Store":
        return self

    def paginate(self, Prefix: str, **_: str) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": key} for key in self.objects if key.startswith(Prefix)]}]

    def get_object(self, Key: str, **_: str) -> dict[str, Any]:
        if Key not in self.objects:
            raise self.exceptions.NoSuchKey
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Key: str, Body: io.BytesIO, **_: str) -> None:
        self.objects[Key] = Body.read()

    def upload_file(self, path: str, _: str, key: str) -> None:
        self.objects[key] = Path(path).read_bytes()


def test_a_persons_files_are_brought_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, files = Store(), FolderSource(weekly(tmp_path / "lake", 3))
    store.objects["raw/2018-04-08.txt"] = b"of somebody else"
    assert upload(store, "b", files) == ["2018-04-01.txt", "2018-04-15.txt"]
    assert store.objects["raw/2018-04-08.txt"] == b"of somebody else", "what is there is not replaced"
    assert upload(store, "b", files) == []
    assert "has every file" in capsys.readouterr().out


def test_made_weeks_come_as_a_first_retrain_needs_them_and_then_one_by_one() -> None:
    store, files = Store(), GeneratedSource(3, 0)
    assert len(upload(store, "b", files)) == 13
    assert upload(store, "b", files) == ["2018-07-01.txt"]


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (None, "has 1 files, which were not made; to be brought are files made by: generated, 3 customers, seed 1"),
        (GeneratedSource(3, 0), "13 files, made by: generated, 3 customers, seed 0;.*or the same CUSTOMERS and SEED"),
    ],
    ids=["real ones", "another seed"],
)
def test_made_transactions_never_come_among_others(first: GeneratedSource | None, message: str) -> None:
    store = Store()
    if first:
        upload(store, "b", first)
    else:
        store.objects["raw/2026-01-01.txt"] = b"real"
    before = dict(store.objects)
    with pytest.raises(StackError, match=message):
        upload(store, "b", GeneratedSource(3, 1))
    assert store.objects == before


def test_what_follows_a_broken_file_is_not_brought(tmp_path: Path) -> None:
    store, folder = Store(), weekly(tmp_path / "lake", 3)
    (folder / "2018-04-08.txt").write_text("no header")
    with pytest.raises(StackError, match=re.escape("2018-04-08.txt begins with")):
        upload(store, "b", FolderSource(folder))
    assert list(store.objects) == ["raw/2018-04-01.txt"]
