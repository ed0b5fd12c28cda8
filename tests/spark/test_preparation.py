"""Raw files with every known fault, broken files, and runs that die or meet."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
from datetime import date

import pytest

from fraud_retraining import publishing
from fraud_retraining.errors import BrokenFileError, QualityError
from fraud_retraining.lake import Lake, unlabelled_days
from fraud_retraining.preparation import prepare
from tests.spark.transactions import FAULTS, HEADER, line, write
from tests.support.marks import quick


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


@pytest.mark.parametrize("name", quick([*broken_files()], "truncated.txt.gz", "eight columns.txt"))
def test_a_broken_file_stops_the_run_is_named_and_stops_no_other(spark, tmp_path, name):
    content, message = broken_files()[name]
    write(tmp_path, "2018-04-01.txt", [line(0)])
    write(tmp_path, "2018-04-03.txt", [line(1, day=3)])
    (tmp_path / "raw" / f"2018-04-02 {name}").write_bytes(content)
    with pytest.raises(BrokenFileError, match=f"2018-04-02.{name}.*({message}).*every other file is prepared \\(2 by"):
        prepare(Lake(spark, str(tmp_path)), "one")
    assert sorted(Lake(spark, str(tmp_path)).manifests()) == ["2018-04-01.txt", "2018-04-03.txt"]
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
    for name in ("2018-04-01.txt", "2018-04-02.txt"):
        write(tmp_path, name, [line(number) for number in range(100)])
    write(tmp_path, "2018-04-03.txt", [line(number, 3) for number in range(100, 200)])
    with pytest.raises(QualityError, match=r"2018-04-02.txt: 100 of 100 rows.*'duplicate'.*line 2: '0,2018-04-01 00:"):
        prepare(Lake(spark, str(tmp_path)), "one")
    assert sorted(Lake(spark, str(tmp_path)).manifests()) == ["2018-04-01.txt", "2018-04-03.txt"]


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


STEPS = ["stage", "count", "move", "switch", "remove_former"]


@pytest.mark.parametrize("dies_after", quick(STEPS, "switch"))
def test_a_run_that_died_is_repeated_without_a_trace(spark, tmp_path, monkeypatch, dies_after):
    """It dies while it takes a corrected file and a new one."""
    died, clean = tmp_path / "died", tmp_path / "clean"
    first = [line(number) for number in range(300)]
    write(died, "2018-04-01.txt", [*first[:200], "spoiled", *first[200:]])
    prepare(Lake(spark, str(died)), "one")
    for root in (died, clean):
        write(root, "2018-04-01.txt", first)
        write(root, "2018-04-02.txt", [line(number, 2) for number in range(300, 600)])
    work = getattr(publishing, dies_after)

    def and_dies(*arguments):
        work(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing, dies_after, and_dies)
        with pytest.raises(KeyboardInterrupt):
            prepare(Lake(spark, str(died)), "two")
    assert rows(spark, died).count() == 300  # of what the dead run left behind nothing is read twice
    prepare(Lake(spark, str(died)), "two")
    prepare(Lake(spark, str(clean)), "two")
    assert files(died, "prepared", "quarantine") == files(clean, "prepared", "quarantine") != {}
    manifests = [Lake(spark, str(root)).manifests() for root in (died, clean)]
    assert manifests[0].pop("2018-04-01.txt").pop("corrected") == {"labels": 0, "added": 0, "removed": 0}
    manifests[1].pop("2018-04-01.txt")
    assert manifests[0] == manifests[1]


def test_two_runs_at_once_prepare_everything_once(spark, tmp_path, monkeypatch):
    write(tmp_path, "2018-04-01.txt", [line(number) for number in range(300)])
    write(tmp_path, "2018-04-02.txt", [line(number, 2) for number in range(300, 600)])
    stage = publishing.stage
    met = []

    def meanwhile(lake, *arguments):
        stage(lake, *arguments)
        patch.undo()
        met.append(prepare(Lake(spark, str(tmp_path)), "other"))

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "stage", meanwhile)
        prepare(Lake(spark, str(tmp_path)), "one")
    assert met[0]["prepared"] == 600
    assert rows(spark, tmp_path).count() == 600
    assert len(files(tmp_path, "prepared")) == 2


def spoil(text, field, value):
    fields = text.split(",")
    fields[field] = value
    return ",".join(fields)


def test_a_corrected_file_is_taken_and_what_depended_on_it_is_done_again(spark, tmp_path):
    """Labels come later, a bad row is mended, an id moves; the second file had a duplicate of a row that goes."""
    lake, other = Lake(spark, str(tmp_path)), tmp_path / "at once"
    before = [line(number) for number in range(300)]
    path = write(tmp_path, "2018-04-01.txt", [spoil(before[0], 4, "none"), *before[1:]])
    write(tmp_path, "2018-04-02.txt", [line(7, 2), *[line(number, 2) for number in range(300, 600)]])
    size = path.stat().st_size
    assert prepare(lake, "one")["quarantined"] == {"tx_amount": 1, "duplicate": 1}
    after = [spoil(text, 7, "1") if 100 <= number < 150 else text for number, text in enumerate(before)]
    after[0], after[7] = "0" + before[0], before[7].replace("7,", "9999999999,", 1)
    for root in (tmp_path, other):
        write(root, "2018-04-01.txt", after)
    write(other, "2018-04-02.txt", [line(7, 2), *[line(number, 2) for number in range(300, 600)]])
    assert path.stat().st_size != size
    report = prepare(lake, "two")
    assert report["corrected"] == {"2018-04-01.txt": {"labels": 50, "added": 2, "removed": 1}}
    assert report["files"] == ["2018-04-01.txt", "2018-04-02.txt"]
    assert (report["prepared"], report["quarantined"]) == (601, {})
    prepare(Lake(spark, str(other)), "one")
    assert files(tmp_path, "prepared", "quarantine") == files(other, "prepared", "quarantine")


UNLABELLED = [
    (",,", None),
    (", ,  ", None),
    (",0,", "tx_fraud"),
    (",,0", "tx_fraud"),
    (",None,None", "tx_fraud"),
    (",,2", "tx_fraud"),
]


@pytest.mark.parametrize(("label", "rule"), UNLABELLED)
def test_a_label_that_has_not_arrived_is_empty_and_nothing_else(spark, tmp_path, label, rule):
    lines = [line(number) for number in range(50)]
    lines[7] = lines[7][: -len(",0,0")] + label
    write(tmp_path, "2018-04-01.txt", lines)
    report = prepare(Lake(spark, str(tmp_path)), "one", 0.5)
    assert report["quarantined"] == ({rule: 1} if rule else {})
    assert report["unlabelled"] == (0 if rule else 1)
    (found,) = [row.tx_fraud for row in rows(spark, tmp_path).where("transaction_id = 7").collect()] or ["bad"]
    assert found == ("bad" if rule else None)


@pytest.mark.verify
def test_labels_arrive_with_a_corrected_file(spark, tmp_path):
    """Of 60 rows without a label 40 get theirs, 5 of these frauds; one of the others changes."""
    without = [line(number)[: -len(",0,0")] + ",," for number in range(60)]
    path = write(tmp_path, "2018-04-01.txt", without + [line(number) for number in range(60, 100)])
    lake = Lake(spark, str(tmp_path))
    assert prepare(lake, "one")["unlabelled"] == 60
    assert unlabelled_days(lake.manifests().values()) == {date(2018, 4, 1): 60}
    arrived = [line(number)[: -len(",0,0")] + (",1,2" if number < 5 else ",0,0") for number in range(40)]
    write(
        tmp_path,
        path.name,
        arrived + without[40:] + [line(number) for number in range(60, 99)] + [line(99)[:-3] + "1,1"],
    )
    report = prepare(lake, "two")
    assert report["corrected"] == {path.name: {"labels": 41, "added": 0, "removed": 0}}
    assert report["unlabelled"] == 20
    found = rows(spark, tmp_path).groupBy("tx_fraud").count().collect()
    assert {row["tx_fraud"]: row["count"] for row in found} == {None: 20, 0: 74, 1: 6}


@pytest.mark.verify
def test_content_decides_whether_a_file_is_the_same(spark, tmp_path):
    lines = [line(number) for number in range(50)]
    path = write(tmp_path, "2018-04-01.txt", lines)
    stamp = path.stat()
    prepare(Lake(spark, str(tmp_path)), "one")
    kept = files(tmp_path, "prepared")
    write(tmp_path, "2018-04-01.txt", lines, end="\r\n")
    assert prepare(Lake(spark, str(tmp_path)), "two")["files"] == []  # other bytes, the same rows
    assert files(tmp_path, "prepared") == kept
    write(tmp_path, "2018-04-01.txt", [spoil(text, 7, "1") for text in lines])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    report = prepare(Lake(spark, str(tmp_path)), "three")
    assert report["corrected"] == {"2018-04-01.txt": {"labels": 50, "added": 0, "removed": 0}}
    assert rows(spark, tmp_path).where("tx_fraud = 1").count() == 50


@pytest.mark.verify
def test_an_older_file_that_comes_late_leaves_what_it_would_have_in_time(spark, tmp_path):
    late, timely = tmp_path / "late", tmp_path / "timely"
    for root in (late, timely):
        write(root, "2018-04-02.txt", [line(5, 2), *[line(number, 2) for number in range(300, 600)]])
    prepare(Lake(spark, str(late)), "one")
    for root in (late, timely):
        write(root, "2018-04-01.txt", [line(number) for number in range(300)])
    assert prepare(Lake(spark, str(late)), "two")["quarantined"] == {"duplicate": 1}
    prepare(Lake(spark, str(timely)), "one")
    assert files(late, "prepared", "quarantine") == files(timely, "prepared", "quarantine")


DAYS = [
    ("2018-04-05 00:00:00,1,1,2.5,345600,4", "period"),  # all three agree, and nothing else is of that day
    ("9999-12-31 23:59:59,1,1,2.5,36000,0", "tx_day"),
    ("9999-12-31 23:59:59,1,1,2.5,251879759999,2915274", "period"),
    ("1899-12-30 00:00:00,1,1,2.5,36000,0", "tx_day"),
    ("2018-04-02 10:00:00,1,1,2.5,36000,0", "tx_day"),
    ("2018-02-20 10:00:00,1,1,2.5,-3420000,-40", "period"),
    ("2018-04-06 10:00:00,1,1,2.5,468000,5", "period"),  # the next file's first day
    ("2018-03-30 10:00:00,1,1,2.5,-136800,-2", None),  # late, not too late
    ("2018-04-02 10:00:00,1,1,2.5,122400,1", None),  # a file may end a little after midnight
]


def test_a_row_of_a_day_that_cannot_be_goes_to_quarantine_alone(spark, tmp_path):
    bad = [f"{9000 + place},{text},0,0" for place, (text, _) in enumerate(DAYS)]
    write(tmp_path, "2018-04-01.txt", [line(number) for number in range(1000)] + bad + ["", "  "])
    write(tmp_path, "2018-04-06.txt", [line(number, 6) for number in range(2000, 2100)])
    report = prepare(Lake(spark, str(tmp_path)), "one")
    found = {row["line"]: rule for rule, lines in quarantined(tmp_path).items() for row in lines}
    assert found == {text: rule for text, (_, rule) in zip(bad, DAYS) if rule}
    assert report["rows"] == 1100 + len(DAYS)  # blank lines are no rows
    assert (report["first_day"], report["last_day"]) == ("2018-03-30", "2018-04-06")


def test_names_are_literal_and_what_is_no_raw_file_is_named(spark, tmp_path):
    root = tmp_path / "la ke [v2] {a} ?*%41 #x: \u044f"
    names = ["2018-04-01.txt", "2018-04-02 [final].txt.gz", "2018-04-03 {a,b}*?%20#1.txt", "2018-04-04 \u044f.txt"]
    for place, name in enumerate(names):
        write(root, name, [line(number, place + 1) for number in range(100 * place, 100 * place + 100)])
    assert prepare(Lake(spark, str(root)), "one")["files"] == sorted(names)
    lake = Lake(spark, str(root))
    found = lake.prepared(lake.manifests().values(), date(2018, 4, 2), date(2018, 4, 3))
    assert sorted(row.transaction_id for row in found.select("transaction_id").collect()) == list(range(100, 300))
    write(root, "2018-04-05.txt", [line(number, 5) for number in range(400, 500)])
    for name in ("transactions_2018-04-01.txt", "README.txt", "2018-13-01.txt"):
        write(root, name, [])
    (root / "raw" / "old").mkdir()
    with pytest.raises(
        BrokenFileError, match=r"README.txt: no raw file.*expected YYYY-MM-DD.txt.*old \(a folder\)"
    ) as told:
        prepare(lake, "two")
    assert all(f"{name}: no raw file" in str(told.value) for name in ("transactions_2018-04-01.txt", "2018-13-01.txt"))
    assert "2018-04-05.txt" in lake.manifests()


def test_refunds_and_the_message_of_a_refusal(spark, tmp_path):
    lines = [line(number) for number in range(100)]
    lines[50], lines[60] = spoil(lines[50], 4, "-5.5"), spoil(lines[60], 4, "-1")
    write(tmp_path, "2018-04-01.txt", ["", *lines])
    expected = (
        r"rule: a decimal number without exponent, above 0\), for example line 53: '50,.*-5.5,.* line 63: .*--refunds"
    )
    with pytest.raises(QualityError, match=expected):
        prepare(Lake(spark, str(tmp_path)), "one")
    assert prepare(Lake(spark, str(tmp_path)), "one", refunds=True)["prepared"] == 100


@pytest.mark.verify
def test_real_files_are_prepared(spark, tmp_path, sample):
    (tmp_path / "raw").mkdir()
    for source in sorted(sample.glob("*.txt.gz"))[:2]:
        (tmp_path / "raw" / source.name).symlink_to(source)
    report = prepare(Lake(spark, str(tmp_path)), "one")
    assert (report["rows"], report["quarantined"]) == (134_288, {"tx_amount": 1})
    assert (report["first_day"], report["last_day"]) == ("2018-04-01", "2018-04-14")
