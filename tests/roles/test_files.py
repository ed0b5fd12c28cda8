"""The module `files`: what it makes, that it makes nothing twice, and that it writes nothing unless all is valid."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.roles.modules import called

Files = Callable[..., dict[str, Any]]
SELF = {"owner": str(os.getuid()), "group": str(os.getgid())}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """What the module says about these entries, whose paths lie below a folder of the test's own."""

    def made(*entries: dict[str, Any], check: bool = False, fails: bool = False) -> dict[str, Any]:
        whole = [SELF | entry | {"path": str(tmp_path / entry["path"])} for entry in entries]
        return called("files", check, fails, entries=whole)

    return made


ENTRIES = (
    {"path": "folder", "directory": True, "mode": "0750"},
    {"path": "folder/file", "content": "text\nof two lines\n", "mode": "0640", "validate": "grep -q lines %s"},
    {"path": "link", "link": "folder/file"},
    {"path": "old", "absent": True},
)


def test_everything_is_made_once(files: Files, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    made = files(*ENTRIES)
    assert made["changed"]
    assert made["paths"] == [str(tmp_path / entry["path"]) for entry in ENTRIES]
    assert (tmp_path / "link").read_text() == "text\nof two lines\n"
    assert oct((tmp_path / "folder").stat().st_mode & 0o7777) == "0o750"
    assert oct((tmp_path / "folder/file").stat().st_mode & 0o7777) == "0o640"
    assert not (tmp_path / "old").exists()
    again = files(*ENTRIES)
    assert not again["changed"]
    assert again["paths"] == []


def test_a_dry_run_says_it_and_does_nothing(files: Files, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    assert files(*ENTRIES, check=True)["changed"]
    assert (tmp_path / "old").exists()
    assert not (tmp_path / "folder").exists()


def test_a_mode_is_mended(files: Files, tmp_path: Path) -> None:
    files(*ENTRIES)
    (tmp_path / "folder/file").chmod(0o666)
    assert files(*ENTRIES)["paths"] == [str(tmp_path / "folder/file")]
    assert oct((tmp_path / "folder/file").stat().st_mode & 0o7777) == "0o640"


def test_nothing_is_written_unless_all_is_valid(files: Files, tmp_path: Path) -> None:
    (tmp_path / "good").write_text("before")
    good = {"path": "good", "content": "after", "mode": "0644"}
    bad = {"path": "bad", "content": "if true", "mode": "0644", "validate": "sh -n %s"}
    said = files(good, bad, fails=True)["msg"]
    assert f"the new {tmp_path}/bad is not valid, nothing was written: `sh -n %s` ended with 2:" in said
    assert (tmp_path / "good").read_text() == "before"
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"path": "x", "content": "y"}, "has no mode; give one"),
        (
            {"path": "x", "content": "y", "link": "z", "mode": "0644"},
            "expected is one of content, directory, link, absent",
        ),
        ({"path": "x"}, "expected is one of content, directory, link, absent"),
    ],
)
def test_an_entry_that_says_too_little_or_too_much_is_refused(files: Files, entry: dict[str, Any], said: str) -> None:
    assert said in files(entry, fails=True)["msg"]
