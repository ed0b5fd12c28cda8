"""Where new data come from in the demo, and one clear message for each thing that can be wrong with them."""

import gzip
from pathlib import Path

import pytest

from stack.common.errors import StackError
from stack.running import arrivals

HEADER = "# tranaction_id | tx_datetime | customer_id | terminal_id | tx_amount\n"


def weekly(folder: Path, weeks: int) -> Path:
    folder.mkdir(exist_ok=True)
    for index in range(weeks):
        name = arrivals.GeneratedSource(10, 0).name(index)
        (folder / f"{name}").write_text(HEADER)
    return folder


def test_the_first_cycle_takes_the_files_that_fill_its_windows(tmp_path: Path) -> None:
    assert arrivals.first_batch(arrivals.FolderSource(weekly(tmp_path / "lake", 20))) == 13
    assert arrivals.first_batch(arrivals.GeneratedSource(10, 0)) == 13


def test_too_short_a_lake_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="covers less than the 91 days"):
        arrivals.first_batch(arrivals.FolderSource(weekly(tmp_path / "lake", 5)))


@pytest.mark.parametrize("lake", ["/no/such/folder", "."])
def test_a_lake_that_is_no_lake_is_told_so(lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StackError, match="FRAUD_LAKE"):
        arrivals.source(lake, "", 10, 0)


def truncated(path: Path) -> None:
    whole = gzip.compress((HEADER + "1,2,3\n" * 10_000).encode())
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("2018-04-01.txt.gz", truncated, "cannot be read.*end-of-stream"),
        ("2018-04-01.txt.gz", lambda p: p.write_bytes(b"not gzip at all"), "cannot be read.*gzip"),
        ("2018-04-01.txt", lambda p: p.write_bytes(bytes(range(256))), "first line of a data file begins with"),
        ("2018-04-01.txt", lambda p: p.write_bytes(b""), "begins with ''"),
    ],
    ids=["truncated gzip", "no gzip", "binary", "empty"],
)
def test_a_broken_lake_file_is_one_clear_message(tmp_path: Path, name: str, write: object, message: str) -> None:
    write(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(StackError, match=f"{name}.*{message}"):
        arrivals.FolderSource(tmp_path).bring(0, tmp_path)


def test_a_file_with_a_byte_order_mark_is_a_data_file(tmp_path: Path) -> None:
    path = tmp_path / "2018-04-01.txt"
    path.write_text("\ufeff" + HEADER, encoding="utf-8")
    arrivals.check_file(path)
