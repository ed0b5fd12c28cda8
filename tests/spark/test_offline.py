"""The two commands for people and checks, on real files."""

from __future__ import annotations

import gzip
from datetime import date

import numpy as np
import pytest

from bench import handbook
from fraud_retraining import offline, output
from fraud_retraining.errors import RetrainingError
from fraud_retraining.features import ALL_FEATURES, HANDBOOK_FEATURES
from fraud_retraining.lake import FileInfo, Files, Lake
from fraud_retraining.preparation import prepare
from fraud_retraining.quality import COLUMNS
from fraud_retraining.reporting import figures, pages
from tests.spark.transactions import FAULTS, HEADER, line, write


@pytest.fixture(scope="module")
def some_cards(sample, tmp_path_factory):
    """Raw files with the real transactions of some cards at some terminals."""
    root = tmp_path_factory.mktemp("cards")
    for source in sorted(sample.glob("*.txt.gz"))[:10]:
        with gzip.open(source, "rt") as text:
            rows = [row.rstrip("\n") for row in text][1:]
        kept = [row for row in rows if int(row.split(",")[2]) < 600 and int(row.split(",")[3]) < 600]
        write(root, source.name, kept)
    return root / "raw"


@pytest.mark.verify
def test_features_are_those_of_the_handbooks_code(spark, some_cards, tmp_path):
    offline.write_features(spark, str(some_cards), str(tmp_path / "features"))
    found = spark.read.parquet(str(tmp_path / "features")).orderBy("tx_datetime", "transaction_id").toPandas()
    assert list(found.columns) == [*COLUMNS, *[name for name in ALL_FEATURES if name not in COLUMNS]]
    for make in (handbook.handbook_features, handbook.as_written):
        expected = make(found[COLUMNS].copy()).sort_values(["tx_datetime", "transaction_id"])
        assert len(found) == len(expected) > 3000
        for name in HANDBOOK_FEATURES:
            wanted, values = expected[name].to_numpy(float), found[name].to_numpy(float)
            assert np.allclose(values, wanted, rtol=0, atol=1e-9), (make, name)
    assert (found["terminal_id_risk_30day_window"] > 0).any()


def test_bad_rows_are_left_out_and_zero_amounts_kept(spark, tmp_path):
    lines = [line(number) for number in range(100)]
    for place, spoil in enumerate(FAULTS.values()):
        lines[20 + place] = ",".join(spoil(lines[20 + place].split(",")))
    write(tmp_path / "lake", "2018-04-01.txt", lines)
    offline.write_features(spark, str(tmp_path / "lake"), str(tmp_path / "features"))
    assert spark.read.parquet(str(tmp_path / "features")).count() == 100 - len(FAULTS) + 1


@pytest.mark.verify
def test_evaluation_as_of_a_day(spark, sample):
    found, report = offline.evaluate_and_report(spark, str(sample), date(2018, 5, 20), resamples=30)
    assert found["windows"] == {
        "train": ["2018-04-01", "2018-04-28"],
        "delay": ["2018-04-29", "2018-05-05"],
        "test": ["2018-05-06", "2018-05-12"],
    }
    low, high = found["average_precision"]["interval"]
    assert 0.4 < low < found["average_precision"]["value"] < high < 0.9
    assert found["rows"]["test_frauds"] > 100
    written = pages.written(report)
    assert f"average precision {found['average_precision']['value']:.3f}" in written["report.md"]
    assert "An evaluation knows no registry." in written["report.html"]
    assert set(figures.drawn(report)) >= {"decision", "curves", "budget", "calibration", "scores", "kinds", "calendar"}


def test_only_files_that_can_hold_the_days_are_read():
    """A row may be 31 days older than its file's first day."""
    names = ["2018-04-01.txt", "2018-04-08.txt.gz", "2018-04-15.txt", "2018-05-15.txt", "2018-05-16.txt"]
    found = [FileInfo(f"/{name}", name, 1, None) for name in names]
    read = [info.name for info in offline.covering(found, date(2018, 4, 8), date(2018, 4, 14))]
    assert read == ["2018-04-08.txt.gz", "2018-04-15.txt", "2018-05-15.txt"]
    assert len(offline.covering(found, date(2018, 4, 7), date(2019, 1, 1))) == 5


def test_an_evaluation_reads_the_rows_that_a_retrain_of_that_day_reads(spark, tmp_path):
    """Late ones, and without those of a day that their file cannot have."""
    write(tmp_path, "2018-04-01.txt", [line(number) for number in range(200)] + [line(900, 9)])
    write(tmp_path, "2018-04-02.txt", [line(number, 2) for number in range(200, 400)] + [line(901), line(5, 2)])
    lake = Lake(spark, str(tmp_path))
    prepare(lake, "one")
    retrain = lake.prepared(lake.manifests().values(), date(2018, 4, 1), date(2018, 4, 1))
    found = offline.covering(offline.raw_files(lake.files), date(2018, 4, 1), date(2018, 4, 1))
    rows = offline.clean_rows(lake.files, found).where("tx_time_days = 0")
    assert sorted(rows.collect()) == sorted(retrain.collect())
    assert retrain.count() == 201


OUTPUTS = [
    (".", "is the lake"),
    ("raw/features", "lies in the lake"),
    ("..", "holds the lake"),
    ("../link", "is the lake"),
    ("../notes", "holds notes.md, which would be deleted"),
    ("../notes/notes.md", "holds notes.md"),
]


@pytest.mark.parametrize(("out", "message"), OUTPUTS)
def test_an_output_that_would_destroy_something_is_refused(spark, tmp_path, out, message):
    path = write(tmp_path / "lake", "2018-04-01.txt", [line(number) for number in range(10)])
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/notes.md").write_text("mine")
    with pytest.raises(RetrainingError, match=f"OUT=.*{message}.*choose"):
        offline.write_features(spark, str(tmp_path / "lake"), str(tmp_path / "lake" / out))
    assert path.exists()


def test_a_report_is_written_where_no_other_file_is(spark, tmp_path):
    write(tmp_path / "lake", "2018-04-01.txt", [])
    lake = Files(spark, str(tmp_path / "lake"))
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "report.json").write_text('{"as_of": "2018-05-06"}')
    output.check_report(lake, str(tmp_path / "report.json"))
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(RetrainingError, match=r"report\.html is there and is no earlier report"):
        output.check_report(lake, str(tmp_path / "report.json"))
    (tmp_path / "report.html").write_text('<meta name="generator" content="fraud_retraining">')
    output.check_report(lake, str(tmp_path / "report.json"))
    for name, message in (
        ("notes.md", "no earlier report"),
        ("missing/a.json", "is no folder"),
        (".", "holds the lake"),
    ):
        with pytest.raises(RetrainingError, match=message):
            output.check_file(lake, str(tmp_path / name))


def test_a_folder_without_raw_files_is_a_clear_error(spark, tmp_path):
    (tmp_path / "notes.md").write_text(HEADER)
    with pytest.raises(RetrainingError, match=r"notes.md: no raw file by its name; expected YYYY-MM-DD.txt"):
        offline.raw_files(Files(spark, str(tmp_path)))
    (tmp_path / "notes.md").unlink()
    with pytest.raises(RetrainingError, match="holds no raw file"):
        offline.raw_files(Files(spark, str(tmp_path)))
