"""Input that lies, by kind: what exporters, editors, browsers and copying people make of a raw file."""

from __future__ import annotations

import gzip
import json
import os
import struct
import zlib
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_retraining import offline, output
from fraud_retraining.errors import BrokenFileError, QualityError, RetrainingError
from fraud_retraining.lake import FileInfo, Files, Lake, is_raw
from fraud_retraining.preparation import prepare
from tests.spark.test_preparation import quarantined, rows, spoil
from tests.spark.transactions import HEADER, line, write
from tests.support.marks import quick

GOOD = [line(number) for number in range(200)]


def packed(*members):
    """A gzip file of several members, as `cat a.gz b.gz` and block-wise writers make it."""
    return b"".join(gzip.compress(text.encode(), mtime=0) for text in members)


def text_of(lines, end="\n", header=HEADER):
    return "".join(text + end for text in [header, *lines])


SAME = {
    "two members.txt.gz": packed(text_of(GOOD[:100]), "".join(text + "\n" for text in GOOD[100:])),
    "two files in one.txt.gz": packed(text_of(GOOD[:100]), text_of(GOOD[100:])),
    "an empty member at the end.txt.gz": packed(text_of(GOOD), ""),
    "two files in one.txt": (text_of(GOOD[:100]) + text_of(GOOD[100:])).encode(),
    "old Macintosh.txt": text_of(GOOD, "\r").encode(),
    "mixed line ends.txt": (text_of(GOOD[:100], "\r\n") + "\n".join(GOOD[100:])).encode(),
    "no line end at the end.txt": text_of(GOOD).rstrip("\n").encode(),
    "blank lines.txt": text_of([*GOOD, "", "   ", "\t"]).encode(),
    "blanks around fields.txt": text_of([text.replace(",", " , ") for text in GOOD]).encode(),
    "byte order mark in front.txt": b"\xef\xbb\xbf" + text_of(GOOD, "\r\n").encode(),
}


SAME_QUICK = ("two files in one.txt.gz", "old Macintosh.txt", "byte order mark in front.txt")


@pytest.mark.parametrize("name", quick([*SAME], *SAME_QUICK))
def test_the_same_rows_in_other_bytes(spark, tmp_path, name):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / f"2018-04-01 {name}").write_bytes(SAME[name])
    report = prepare(Lake(spark, str(tmp_path)), "one")
    assert (report["rows"], report["prepared"], report["quarantined"]) == (200, 200, {})


NAMES = HEADER[2:].split(" | ")
REFUSED = {
    "columns in another order.txt": (
        text_of(GOOD, header="# " + " | ".join([NAMES[1], NAMES[0], *NAMES[2:]])),
        "header",
    ),
    "a column more.txt": (text_of(GOOD, header=f"{HEADER} | tx_country"), "tx_country'; expected the header"),
    "a column twice.txt": (text_of(GOOD, header=HEADER.replace("terminal_id", "customer_id")), "expected the header"),
    "quoted header.txt": (text_of(GOOD, header=f'"{HEADER}"'), "expected the header"),
    "a blank line in front.txt": ("\n" + text_of(GOOD), "begins with ''"),
    "UTF-16.txt": (text_of(GOOD).encode("utf-16"), "is not text"),
    "a page instead of data.txt": ("<!DOCTYPE html><title>403</title>", "<!DOCTYPE html>"),
    "nothing.txt": ("", "begins with ''"),
    "nothing packed.txt.gz": (packed(""), "begins with ''"),
    "cut in the second member.txt.gz": (packed(text_of(GOOD), "".join(GOOD) * 50)[:-20], "cannot be read"),
    "followed by something else.txt.gz": (packed(text_of(GOOD)) + b"trailing", "cannot be read"),
}
STRANGE = {
    "2018-04-05.TXT": "no raw file by its name",
    "2018-04-05.txt.GZ": "no raw file by its name",
    "2018-04-05.csv": "no raw file by its name",
    "2018-04-05.txt.bz2": "no raw file by its name",
    "2018-02-30.txt": "no raw file by its name",
    "2018-02-29.txt": "no raw file by its name",
    "0001-01-01.txt": "no raw file by its name",
    "2018-04-051.txt": "no raw file by its name",
    "18-04-05.txt": "no raw file by its name",
    f"{datetime.now(timezone.utc).date() + timedelta(2)}.txt": "not after today",
}


def test_what_is_no_raw_file_is_named_with_the_reason_and_stops_no_other(spark, tmp_path):
    write(tmp_path, "2018-04-01.txt", GOOD)
    for name, (content, _) in REFUSED.items():
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "raw" / f"2018-04-02 {name}").write_bytes(content)
    for name in STRANGE:
        (tmp_path / "raw" / name).write_text(text_of([]))
    (tmp_path / "raw/2018").mkdir()
    write(tmp_path / "raw/2018", "2018-04-06.txt", GOOD)
    (tmp_path / "raw/2018-04-07.txt").mkdir()
    with pytest.raises(BrokenFileError) as told:
        prepare(Lake(spark, str(tmp_path)), "one")
    found = {part.partition(" cannot")[0]: part for part in str(told.value).split(f"{tmp_path}/raw/")}
    for name, (_, message) in REFUSED.items():
        assert any(part.startswith(f"2018-04-02 {name}") and message in part for part in found.values()), name
    for name, message in STRANGE.items():
        assert any(part.startswith(f"{name}: ") and message in part for part in found.values()), name
    assert "2018 (a folder): " in str(told.value)
    assert "2018-04-07.txt (a folder): " in str(told.value)
    assert sorted(Lake(spark, str(tmp_path)).manifests()) == ["2018-04-01.txt"]


# A field of a row, what stands there, and the rule that the row breaks; None if it is a good one.
VALUES = [
    *[
        (4, amount, "tx_amount")
        for amount in ("NaN", "inf", "-Infinity", "1e3", "1.5d", "1_000", "0x10", "", "$5", ".5")
    ],
    *[(0, number, "transaction_id") for number in ("-1", "5.0", "1e3", "9999999999999999999", "+5", "\u0665", "")],
    *[(2, number, "customer_id") for number in ("-999999", "5.0", "NaN", "NULL", "1 2")],
    *[(3, number, "terminal_id") for number in ("-1", "7.0", "Err", "None", "2147483648x")],
    *[
        (1, moment, "tx_datetime")
        for moment in (
            *("2018-02-29 00:00:00", "2018-04-31 00:00:00", "2018-04-01 23:59:60", "2018-04-01 24:00:00"),
            *("2018-04-01T00:00:10Z", "2018-04-01 00:00:10+03:00", "2018-04-01", "01.04.2018 00:00:10", "1522540810"),
        )
    ],
    *[(5, seconds, "tx_time") for seconds in ("86400", "-1", "1.0", "")],
    *[(7, label, "tx_fraud") for label in ("", "2", "-1", "true", "0.0", "NULL")],
    (2, "-5", None),
    (4, "0.01", None),
    (4, "00012.50", None),
    (0, "999999999999999999", None),
]
QUOTED = ",".join(f'"{field}"' for field in line(90).split(","))
SHAPES = [
    (QUOTED, "transaction_id"),
    (line(91) + ",RU", "columns"),
    (line(92)[:-2], "columns"),
    (line(93) + ",", "columns"),
]


def test_values_that_are_none(spark, tmp_path):
    bad = {spoil(line(1000 + place), field, value): rule for place, (field, value, rule) in enumerate(VALUES)}
    bad.update(SHAPES)
    write(tmp_path, "2018-04-01.txt", [*GOOD[:50], *bad])
    report = prepare(Lake(spark, str(tmp_path)), "one", 0.9)
    found = {row["line"]: rule for rule, lines in quarantined(tmp_path).items() for row in lines}
    assert found == {text: rule for text, rule in bad.items() if rule}
    assert report["rows"] == 50 + len(bad) == report["prepared"] + len(found)


def test_a_leap_day_is_a_day(spark, tmp_path):
    first = date(2020, 2, 28)
    lines = [
        f"{number},{first + timedelta(number // 50)} 12:00:00,1,1,5.5,{number // 50 * 86400 + 43200},{number // 50},0,0"
        for number in range(150)
    ]
    write(tmp_path, "2020-02-28.txt", lines)
    prepare(Lake(spark, str(tmp_path)), "one")
    assert {
        row["day"].isoformat() for row in rows(spark, tmp_path).selectExpr("to_date(tx_datetime) AS day").collect()
    } == {
        "2020-02-28",
        "2020-02-29",
        "2020-03-01",
    }


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12), st.dates(date(1970, 1, 1), date(2026, 1, 1)), st.sampled_from([".txt", ".txt.gz"]))
def test_any_name_that_begins_with_a_day_is_one(ending, day, suffix):
    name = f"{day}{'' if ending[:1].isdigit() else ending}{suffix}"
    info = FileInfo(f"/{name}", name, 1, None)
    assert is_raw(info)
    assert info.first_day == day


def test_hidden_files_are_left_alone_and_said_but_for_hadoops_own(spark, tmp_path, caplog):
    write(tmp_path, "2018-04-01.txt", GOOD)
    for name in (
        ".2018-04-08.txt.part",
        "_2018-04-08.txt",
        "._2018-04-01.txt",
        "_SUCCESS",
        ".2018-04-01.txt.other.crc",
    ):
        (tmp_path / "raw" / name).write_bytes(b"x")
    with caplog.at_level("WARNING", "fraud_retraining"):
        prepare(Lake(spark, str(tmp_path)), "one")
    said = sorted(text.split(" ")[0].rpartition("/")[2] for text in caplog.messages if "hidden" in text)
    assert said == [".2018-04-08.txt.part", "._2018-04-01.txt", "_2018-04-08.txt"]


def test_a_checksum_of_an_earlier_content_is_named(spark, tmp_path):
    path = write(tmp_path, "2018-04-01.txt", GOOD)
    content = path.read_bytes()
    sums = [zlib.crc32(content[start : start + 512]) for start in range(0, len(content), 512)]
    (tmp_path / "raw/.2018-04-01.txt.crc").write_bytes(b"crc\0" + struct.pack(f">{1 + len(sums)}I", 512, *sums))
    path.write_bytes(path.read_bytes().replace(b",0,0\n", b",1,1\n"))
    write(tmp_path, "2018-04-02.txt", [line(number, 2) for number in range(200, 220)])
    with pytest.raises(BrokenFileError, match=r"delete \.2018-04-01\.txt\.crc beside it"):
        prepare(Lake(spark, str(tmp_path)), "one")
    assert list(Lake(spark, str(tmp_path)).manifests()) == ["2018-04-02.txt"]


def test_a_lake_without_a_raw_file_is_no_success(spark, tmp_path):
    with pytest.raises(RetrainingError, match=r"raw holds no raw file .*check --lake"):
        prepare(Lake(spark, str(tmp_path)), "one")


def test_a_file_of_which_no_row_is_good_has_no_features(spark, tmp_path):
    write(tmp_path, "2018-04-01.txt", [spoil(text, 2, "5.0") for text in GOOD])
    with pytest.raises(QualityError, match=r"all 200 rows.*'customer_id'.*whole number.*line 2: '0,.*,5.0,"):
        offline.write_features(spark, str(tmp_path), str(tmp_path) + "-out")


@pytest.fixture
def linked(tmp_path):
    """A lake whose raw files lie elsewhere, and folders of other people."""
    write(tmp_path / "store", "2018-04-01.txt", GOOD[:20])
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/raw").symlink_to(tmp_path / "store/raw")
    (tmp_path / "inside").symlink_to(tmp_path / "lake/new")  # leads to nothing yet
    (tmp_path / "file").mkdir()
    (tmp_path / "file/part-0.parquet").write_bytes(b"mine")
    return tmp_path


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("store/raw/features", "lies in the lake"),
        ("store", "holds the lake"),
        ("inside", "lies in the lake"),
        ("lake/../lake/./x", "lies in the lake"),
        ("file/part-0.parquet", "holds part-0.parquet"),
        ("theirs", "holds Parquet files with other columns"),
    ],
)
def test_outputs_behind_links_and_of_other_people(spark, linked, out, message):
    spark.range(3).write.parquet(str(linked / "theirs"))
    before = sorted(path for path in linked.rglob("*") if path.is_file())
    with pytest.raises(RetrainingError, match=f"OUT=.*{message}"):
        offline.write_features(spark, str(linked / "lake"), str(linked / out))
    assert sorted(path for path in linked.rglob("*") if path.is_file()) == before


def test_what_an_earlier_run_wrote_is_replaced(spark, linked):
    for count in (20, 10):
        write(linked / "store", "2018-04-01.txt", GOOD[:count])
        offline.write_features(spark, str(linked / "lake"), str(linked / "new [1]"))
        found = Files(spark, str(linked / "new [1]"))
        assert found.parquet([info.path for info in found.list("")]).count() == count


class Store:
    """An object store's root, for the comparison of names."""

    def __init__(self, root):
        self.root = root

    def path(self, area):
        return f"{self.root}/{area}"


@pytest.mark.parametrize(
    ("lake", "out", "refused"),
    [
        ("s3a://lake", "s3a://lake/x", True),
        ("s3a://lake/a", "s3a://lake", True),
        ("s3a://lake/a", "s3://lake/a", True),
        ("s3a://lake/a", "s3a://lake/ab", False),
        ("s3a://lake", "s3a://lake2", False),
        ("s3a://lake/a", "file:/lake/a", False),
    ],
)
def test_outputs_on_an_object_store(lake, out, refused):
    if refused:
        with pytest.raises(RetrainingError, match="choose a folder elsewhere"):
            output.check_apart(Store(lake), out)
    else:
        output.check_apart(Store(lake), out)


@pytest.mark.verify
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kamchatka"])
def test_the_machines_time_zone_changes_nothing(tmp_path, zone):
    from tests.spark.test_jobs import submit

    lines = [
        f"{number},2018-04-{day:02d} {hour:02d}:30:00,1,1,5.5,{seconds},{day - 1},0,0"
        for number, (day, hour) in enumerate((day, hour) for day in (1, 2) for hour in range(24))
        for seconds in [(day - 1) * 86400 + hour * 3600 + 1800]
    ]
    write(tmp_path / "lake", "2018-04-01.txt", lines)
    job = submit(tmp_path, "prepare.py", "--lake", str(tmp_path / "lake"), "--run-id", "r1", environment={"TZ": zone})
    said = job.communicate()[0]
    assert job.returncode == 0, said[-3000:]
    manifest = json.loads((tmp_path / "lake/manifest/2018-04-01.txt.json").read_text())
    assert {part[:14]: count for part, count in manifest["parts"].items()} == {
        "day=2018-04-01": 24,
        "day=2018-04-02": 24,
    }
    assert manifest["quarantined"] == {}


def test_a_report_behind_a_link_to_a_raw_file_is_refused(spark, tmp_path):
    path = write(tmp_path / "lake", "2018-04-01.txt", GOOD)
    (tmp_path / "report.json").symlink_to(path)
    with pytest.raises(RetrainingError, match="lies in the lake"):
        output.check_file(Files(spark, str(tmp_path / "lake")), str(tmp_path / "report.json"))
    assert os.path.getsize(path) > 1000
