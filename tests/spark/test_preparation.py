"""Raw files with every known fault, broken files, and runs that die or meet."""

from __future__ import annotations

import gzip
import hashlib
import json
import random

import pytest

from fraud_retraining import preparation
from fraud_retraining.errors import BrokenFileError, QualityError, RetrainingError
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare
from tests.spark.transactions import FAULTS, HEADER, line, write


def files(root, *areas):
    """SHA-256 by path of everything that readers see below some folders."""
    found = {}
    for area in areas:
        for path in sorted((root / area).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def rows(spark, root):
    lake = Lake(spark, str(root))
    parts = [lake.files.path(f"prepared/{part}") for m in lake.manifests().values() for part in m["parts"]]
    return spark.read.parquet(*parts)


def quarantined(root):
    return {
        path.parent.name[len("rule=") :]: [json.loads(text) for text in path.read_text().splitlines()]
        for path in (root / "quarantine").rglob("*.json")
    }


@pytest.mark.parametrize("name", ["2018-04-01.txt", "2018-04-01.txt.gz"])
def test_every_fault_goes_to_its_rule(spark, tmp_path, name):
    lines = [line(number) for number in range(1000)]
    bad = {}
    for place, (rule, spoil) in enumerate(FAULTS.items()):
        bad[rule] = ",".join(spoil(line(500 + place).split(",")))
        lines[500 + place] = bad[rule]
    write(tmp_path, name, lines)
    report = prepare(Lake(spark, str(tmp_path)), "one")
    assert report["quarantined"] == dict.fromkeys(FAULTS, 1)
    assert (report["rows"], report["prepared"]) == (1000, 1000 - len(FAULTS))
    assert quarantined(tmp_path) == {rule: [{"line": text, "file": name}] for rule, text in bad.items()}
    assert rows(spark, tmp_path).count() == report["prepared"]
    assert json.loads((tmp_path / "runs/one/prepare.json").read_text()) == report


VALUES = [
    (3, "None", "terminal_id"),
    (2, "999999", "customer_id"),
    (4, "0.0", "tx_amount"),
    (4, "-1.5", "tx_amount"),
    (1, "2018-02-30 10:00:00", "tx_datetime"),
    (1, "", "tx_datetime"),
    (5, "86400", "tx_time"),
]


def with_value(number, field, value):
    fields = line(number).split(",")
    fields[field] = value
    return ",".join(fields)


@pytest.fixture(scope="module")
def judged(spark, tmp_path_factory):
    """Rules of the quarantined rows by line, of a file that has a row for each of the values."""
    root = tmp_path_factory.mktemp("values")
    bad = [with_value(7 + place, field, value) for place, (field, value, _) in enumerate(VALUES)]
    write(root, "2018-04-01.txt", [line(number) for number in range(7)] + bad)
    report = prepare(Lake(spark, str(root)), "one", 0.5)
    assert (report["prepared"], sum(report["quarantined"].values())) == (7, len(VALUES))
    return {row["line"]: rule for rule, found in quarantined(root).items() for row in found}


@pytest.mark.parametrize(("place", "field", "value", "rule"), [(n, *value) for n, value in enumerate(VALUES)])
def test_values_that_break_a_rule(judged, place, field, value, rule):
    assert judged[with_value(7 + place, field, value)] == rule


def test_amounts_with_float_noise_are_good(spark, tmp_path):
    write(tmp_path, "2018-04-01.txt", [line(0).replace(",1.5,", ",76.10000000000001,")])
    assert prepare(Lake(spark, str(tmp_path)), "one")["prepared"] == 1


@pytest.mark.parametrize(("header", "end"), [(HEADER, "\r\n"), ("\ufeff" + HEADER, "\n"), ("\ufeff" + HEADER, "\r\n")])
def test_byte_order_mark_and_windows_line_ends(spark, tmp_path, header, end):
    write(tmp_path, "2018-04-01.txt", [line(number) for number in range(10)], header, end)
    report = prepare(Lake(spark, str(tmp_path)), "one")
    assert (report["rows"], report["prepared"]) == (10, 10)


def test_a_header_alone_is_an_empty_file_of_no_rows(spark, tmp_path):
    write(tmp_path, "2018-04-01.txt", [])
    report = prepare(Lake(spark, str(tmp_path)), "one")
    assert (report["rows"], report["first_day"]) == (0, None)


def broken_files():
    draw = random.Random(0)
    good = "".join(text + "\n" for text in [HEADER, *map(line, range(20_000))]).encode()
    packed = gzip.compress(good)
    noise = bytes(draw.randrange(256) for _ in range(5000))
    return {
        "truncated.txt.gz": (packed[: len(packed) // 2], "end of"),
        "truncated in its header.txt.gz": (packed[:12], "expected the header|end of"),
        "no gzip.txt.gz": (good, "not a gzip"),
        "empty.txt": (b"", "expected the header"),
        "binary.txt": (noise, "is not text"),
        "without a header.txt": (line(0).encode(), "expected the header"),
        "eight columns.txt": (good.replace(b" | tx_fraud_scenario", b""), "expected the header"),
    }


@pytest.mark.parametrize("name", broken_files())
def test_a_broken_file_stops_the_run_and_is_named(spark, tmp_path, name):
    content, message = broken_files()[name]
    write(tmp_path, "2018-04-01.txt", [line(0)])
    (tmp_path / "raw" / f"z {name}").write_bytes(content)
    with pytest.raises(BrokenFileError, match=f"z.{name}.*({message})"):
        prepare(Lake(spark, str(tmp_path)), "one")
    assert list(Lake(spark, str(tmp_path)).manifests()) == ["2018-04-01.txt"]
    assert not (tmp_path / "runs/one/prepare.json").exists()
    assert not list((tmp_path / "staging").rglob("*.parquet"))


def test_too_many_bad_rows_stop_the_run(spark, tmp_path):
    lines = [line(number) for number in range(200)]
    for place in range(3):
        lines[place] = ",".join(FAULTS["tx_fraud"](lines[place].split(",")))
    write(tmp_path, "2018-04-01.txt", lines)
    lake = Lake(spark, str(tmp_path))
    with pytest.raises(
        QualityError, match=r"2018-04-01.txt: 3 of 200 rows \(1.50%\).*allowed are 1.00%.*rule 'tx_fraud'"
    ):
        prepare(lake, "one")
    assert files(tmp_path, "prepared", "manifest", "runs") == {}
    assert prepare(lake, "two", max_quarantine=0.015)["quarantined"] == {"tx_fraud": 3}


def test_a_file_full_of_known_ids_stops_the_run(spark, tmp_path):
    for name in ("2018-04-01.txt", "2018-04-08.txt"):
        write(tmp_path, name, [line(number) for number in range(100)])
    with pytest.raises(QualityError, match=r"2018-04-08.txt: 100 of 100 rows.*'duplicate'"):
        prepare(Lake(spark, str(tmp_path)), "one")


def test_duplicates_within_and_across_files(spark, tmp_path):
    write(tmp_path, "2018-04-01.txt", [line(number) for number in range(300)])
    twice = line(400, day=2)
    later = line(401, day=2).replace("401,", "402,", 1)
    write(tmp_path, "2018-04-02.txt", [line(5, day=2), later, twice, twice, *[line(n, 2) for n in range(401, 700)]])
    report = prepare(Lake(spark, str(tmp_path)), "one", 0.02)
    assert report["quarantined"] == {"duplicate": 3}
    assert sorted(bad["line"] for bad in quarantined(tmp_path)["duplicate"]) == sorted(
        [line(5, day=2), twice, line(402, day=2)]  # of two rows with one id the earlier stays
    )
    assert rows(spark, tmp_path).select("transaction_id").distinct().count() == report["prepared"] == 600


def test_only_new_files_are_read_and_the_same_bytes_come_again(spark, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        write(root, "2018-04-01.txt", [line(number) for number in range(300)])
        write(root, "2018-04-02.txt.gz", [line(number, 2) for number in range(299, 600)])
    prepare(Lake(spark, str(first)), "one")
    (second / "raw" / "2018-04-02.txt.gz").rename(second / "later.gz")
    prepare(Lake(spark, str(second)), "one")
    (second / "later.gz").rename(second / "raw" / "2018-04-02.txt.gz")
    assert prepare(Lake(spark, str(second)), "two")["files"] == ["2018-04-02.txt.gz"]
    assert prepare(Lake(spark, str(second)), "three")["files"] == []
    assert files(first, "prepared", "quarantine") == files(second, "prepared", "quarantine") != {}


@pytest.mark.parametrize("dies_in", ["stage", "staged_counts", "publish"])
def test_a_run_that_died_is_repeated_without_a_trace(spark, tmp_path, monkeypatch, dies_in):
    died, clean = tmp_path / "died", tmp_path / "clean"
    for root in (died, clean):
        write(root, "2018-04-01.txt", [line(number) for number in range(300)])
        write(root, "2018-04-02.txt", [line(number, 2) for number in range(300, 600)])
    work = getattr(preparation, dies_in)

    def dies_at_the_second(*arguments):
        result = work(*arguments)
        if "2018-04-02" in repr(arguments):
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(preparation, dies_in, dies_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            prepare(Lake(spark, str(died)), "one")
    assert rows(spark, died).count() == 300  # what the dead run left behind is not read
    assert prepare(Lake(spark, str(died)), "one")["files"] == ["2018-04-01.txt", "2018-04-02.txt"]
    prepare(Lake(spark, str(clean)), "one")
    assert files(died, "prepared", "quarantine", "manifest") == files(clean, "prepared", "quarantine", "manifest")


def test_two_runs_at_once_prepare_everything_once(spark, tmp_path, monkeypatch):
    write(tmp_path, "2018-04-01.txt", [line(number) for number in range(300)])
    write(tmp_path, "2018-04-02.txt", [line(number, 2) for number in range(300, 600)])
    stage = preparation.stage
    met = []

    def meanwhile(lake, *arguments):
        stage(lake, *arguments)
        patch.undo()
        met.append(prepare(Lake(spark, str(tmp_path)), "other"))

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "stage", meanwhile)
        prepare(Lake(spark, str(tmp_path)), "one")
    assert met[0]["prepared"] == 600
    assert rows(spark, tmp_path).count() == 600
    assert len(files(tmp_path, "prepared")) == 2


def test_a_raw_file_that_changed_is_refused(spark, tmp_path):
    path = write(tmp_path, "2018-04-01.txt", [line(number) for number in range(10)])
    lake = Lake(spark, str(tmp_path))
    prepare(lake, "one")
    path.write_text(path.read_text() + line(11) + "\n")
    with pytest.raises(RetrainingError, match=r"2018-04-01.txt changed after it was prepared.*delete manifest/"):
        prepare(lake, "two")


def test_real_files_are_prepared(spark, tmp_path, sample):
    (tmp_path / "raw").mkdir()
    for source in sorted(sample.glob("*.txt.gz"))[:2]:
        (tmp_path / "raw" / source.name).symlink_to(source)
    report = prepare(Lake(spark, str(tmp_path)), "one")
    assert (report["rows"], report["quarantined"]) == (134_288, {"tx_amount": 1})
    assert (report["first_day"], report["last_day"]) == ("2018-04-01", "2018-04-14")
