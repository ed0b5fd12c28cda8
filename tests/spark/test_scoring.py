"""Scores in the lake: each row once, whatever dies, meets or is corrected; and each day's list."""

from __future__ import annotations

import io
import random
import shutil
from datetime import date, timedelta

import mlflow
import numpy as np
import pandas as pd
import pytest
import xgboost
from pyspark.sql import functions as F

from fraud_retraining import features, model, scoring, service
from fraud_retraining.errors import RetrainingError
from fraud_retraining.lake import Lake, parts_by_day
from fraud_retraining.offline import write_scores
from fraud_retraining.preparation import prepare
from fraud_retraining.quality import PREPARED_SCHEMA
from fraud_retraining.scoring import Scorer, score_lake
from tests.spark.transactions import write
from tests.support.marks import quick

FIRST = date(2018, 4, 1)


def booster(seed):
    """A model of our inputs, made of chance: what matters here is whose score a row has."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame({name: draw.random(400) * 50 for name in features.ALL_FEATURES})
    labels = rows["tx_amount"] + 5 * draw.random(400) > 40
    return xgboost.train({"objective": "binary:logistic", "seed": seed}, xgboost.DMatrix(rows, labels), 20)


MODELS = {"1": booster(1), "2": booster(2)}


def scorer(run, version="1", budget=100):
    return Scorer(version, MODELS[version], run, budget=budget)


def line(number, day, fraud=0, amount=None):
    """A row of the day (counted from 0) with an id and an amount of its own."""
    draw = random.Random(number)
    second = draw.randrange(86400)
    moment = f"{FIRST + timedelta(day)} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    amount = amount or f"{draw.randrange(100, 30000) / 100:.2f}"
    cards, terminals = draw.randrange(40), draw.randrange(15)
    return f"{number},{moment},{cards},{terminals},{amount},{day * 86400 + second},{day},{fraud},{fraud}"


def as_fraud(text):
    return text[: -len(",0,0")] + ",1,1"


def day_of(day, rows=60):
    return [line(1000 * day + number, day, int(number % 20 == 0)) for number in range(rows)]


def deliver(root, first, days, change=lambda rows: rows):
    rows = [text for day in range(first, first + days) for text in day_of(day)]
    write(root, f"{FIRST + timedelta(first)}.txt", change(rows))


def quick_features(rows, keep=()):
    """In place of the features, whose windows take seconds: numbers that a row's id makes."""
    made = [F.expr(f"pmod(xxhash64(transaction_id, {n}), 5000) / 100D") for n in range(len(features.ALL_FEATURES))]
    named = [value.alias(name) for name, value in zip(features.ALL_FEATURES, made) if name not in PREPARED_SCHEMA]
    return rows.select(*keep, *PREPARED_SCHEMA, *named)


@pytest.fixture(autouse=True)
def which_features(request, monkeypatch):
    if "with_real_features" not in request.fixturenames:
        monkeypatch.setattr(features, "all_features", quick_features)


@pytest.fixture
def with_real_features():
    """The application's own, in a test that is about them."""


@pytest.fixture(scope="module")
def weeks(spark, tmp_path_factory):
    """Two prepared weeks, three files."""
    root = tmp_path_factory.mktemp("weeks")
    for first, days in ((0, 7), (7, 4), (11, 3)):
        deliver(root, first, days)
    prepare(Lake(spark, str(root)), "first")
    return root


@pytest.fixture
def lake(spark, weeks, tmp_path):
    shutil.copytree(weeks, tmp_path / "lake")
    return Lake(spark, str(tmp_path / "lake"))


def scores(lake):
    """Scores that count, by id."""
    parts = parts_by_day(scoring.score_manifests(lake).values())
    paths = [lake.files.path(f"scores/{part}") for of_day in parts.values() for part in of_day]
    found = lake.files.parquet(paths).toPandas()
    assert found["transaction_id"].is_unique
    return found.sort_values("transaction_id").set_index("transaction_id")


def prepared_ids(lake):
    manifests = lake.manifests().values()
    rows = lake.prepared(manifests, date(2018, 1, 1), date(2019, 1, 1))
    return sorted(row["transaction_id"] for row in rows.select("transaction_id").collect())


def every_row_has_one(lake):
    assert list(scores(lake).index) == prepared_ids(lake)


def content(lake, *areas):
    from pathlib import Path

    root = Path(lake.files.root[len("file:") :])
    return {str(p.relative_to(root)): p.read_bytes() for area in areas for p in (root / area).rglob("*.*")}


def list_of(lake, day):
    return pd.read_parquet(io.BytesIO(lake.files.read_bytes(f"alerts/{day}.parquet")))


def test_every_prepared_row_gets_one_score_as_a_retrain_would_give(lake, with_real_features):
    report = score_lake(lake, scorer("run-1"))
    every_row_has_one(lake)
    assert (report["rows"], report["version"], len(report["files"])) == (14 * 60, "1", 3)
    assert report["alert_days"] == [str(FIRST + timedelta(day)) for day in range(14)]
    rows = features.all_features(lake.prepared(lake.manifests().values(), FIRST, FIRST + timedelta(13)))
    expected = model.score(rows, {"score": MODELS["1"]}, ["transaction_id"]).toPandas()
    expected = expected.sort_values("transaction_id")["score"].to_numpy()
    found = scores(lake)
    assert np.array_equal(found["score"].to_numpy(), expected)  # to the bit
    assert set(found["version"]) == {"1"}
    assert set(found["run_id"]) == {"run-1"}
    assert not lake.files.exists("staging/score-run-1")


@pytest.mark.verify
def test_a_score_of_a_late_day_has_all_its_history(lake, with_real_features):
    """Scored with the days before it, or alone, a day's rows have the same scores."""
    before = scoring.score_manifests(lake)
    score_lake(lake, scorer("run-1"))
    whole = scores(lake)
    (name,) = [name for name in lake.manifests() if name.startswith("2018-04-12")]
    lake.files.delete("scores")
    lake.files.delete("alerts")
    assert before == {}
    for manifest in list(lake.manifests().values()):
        if manifest["file"] != name:
            path = f"scores/manifest/{manifest['file']}.json"
            lake.files.write_json(path, {**manifest, "parts": {}, "live": []}, replace=True)
    score_lake(lake, scorer("run-1"))
    alone = scores(lake)
    assert len(alone) == 3 * 60
    assert alone["score"].equals(whole.loc[alone.index, "score"])


def test_a_repetition_changes_nothing(lake):
    score_lake(lake, scorer("run-1"))
    before = content(lake, "scores", "alerts")
    report = score_lake(lake, scorer("run-2", "2"))
    assert (report["rows"], report["files"], report["alert_days"]) == (0, [], [])
    assert content(lake, "scores", "alerts") == before


@pytest.mark.verify
def test_when_the_champion_moves_old_rows_keep_their_version(lake, tmp_path):
    score_lake(lake, scorer("run-1"))
    deliver(tmp_path / "lake", 14, 7)
    prepare(lake, "second")
    report = score_lake(lake, scorer("run-2", "2"))
    assert report["alert_days"] == [str(FIRST + timedelta(day)) for day in range(14, 21)]
    every_row_has_one(lake)
    assert scores(lake).groupby("version").size().to_dict() == {"1": 14 * 60, "2": 7 * 60}


def corrected(rows):
    """Labels that came later, a row taken out, a row that is new."""
    arrived = [as_fraud(text) if number % 9 == 0 else text for number, text in enumerate(rows)]
    return [*arrived[1:], line(777_777, 11)]


def test_a_corrected_file_adds_what_has_no_score_and_takes_none_away(lake, tmp_path):
    score_lake(lake, scorer("run-1"))
    before = scores(lake)
    deliver(tmp_path / "lake", 11, 3, corrected)
    prepare(lake, "second")
    report = score_lake(lake, scorer("run-2", "2"))
    assert (report["rows"], report["files"]) == (1, ["2018-04-12.txt"])
    assert report["alert_days"] == ["2018-04-12"]
    after = scores(lake)
    assert after.drop(index=777_777).equals(before)
    assert after.loc[777_777, "version"] == "2"


@pytest.mark.verify
def test_labels_alone_add_no_score(lake, tmp_path):
    score_lake(lake, scorer("run-1"))
    before = content(lake, "scores/day=2018-04-12", "alerts")
    deliver(tmp_path / "lake", 11, 3, lambda rows: [*map(as_fraud, rows)])
    prepare(lake, "second")
    assert score_lake(lake, scorer("run-2", "2"))["rows"] == 0
    assert content(lake, "scores/day=2018-04-12", "alerts") == before
    assert not [m for m in lake.manifests().values() if scoring.is_pending(m, scoring.score_manifests(lake))]


@pytest.mark.verify
def test_a_row_that_moves_to_another_file_is_not_scored_twice(lake, tmp_path):
    score_lake(lake, scorer("run-1"))
    moved = day_of(10)[5]
    deliver(tmp_path / "lake", 7, 4, lambda rows: [text for text in rows if text != moved])
    deliver(tmp_path / "lake", 11, 3, lambda rows: [*rows, moved])
    prepare(lake, "second")
    assert score_lake(lake, scorer("run-2", "2"))["rows"] == 0
    every_row_has_one(lake)


STEPS = ["stage", "move", "write_json", "write_lists", "made"]


@pytest.mark.parametrize("step", quick(STEPS, "move"))
def test_a_run_that_dies_is_finished_by_the_next_one(lake, monkeypatch, step):
    class Killed(Exception):
        pass

    def kill(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        if step in ("stage", "write_lists"):
            patch.setattr(scoring, step, kill)
        elif step == "made":
            plain, seen = lake.files.write_json, []

            def write_json(relative, value, replace):
                seen.append(relative)
                if seen.count(scoring.MADE) == 2:
                    raise Killed
                plain(relative, value, replace)

            patch.setattr(lake.files, "write_json", write_json)
        else:
            patch.setattr(lake.files, step, kill)
        with pytest.raises(Killed):
            score_lake(lake, scorer("run-1"))
    score_lake(lake, scorer("run-2", "2"))
    every_row_has_one(lake)
    whole = scores(lake)
    assert set(whole["version"]) == ({"1"} if step in ("write_lists", "made") else {"2"})
    for day in range(14):
        assert set(list_of(lake, FIRST + timedelta(day))["run_id"]) == set(whole["run_id"])


@pytest.mark.verify
def test_of_two_runs_at_once_one_counts(lake, monkeypatch):
    """The second begins and ends while the first has its rows staged."""
    plain, inner = lake.files.move, []

    def move(source, target):
        if not inner:
            inner.append(1)
            score_lake(lake, scorer("run-2", "2"))
        plain(source, target)

    monkeypatch.setattr(scoring, "at_once", lambda work, items: [work(item) for item in items])
    with monkeypatch.context() as patch:
        patch.setattr(lake.files, "move", move)
        score_lake(lake, scorer("run-1"))
    every_row_has_one(lake)
    found = scores(lake)
    assert set(found["version"]) == {"1"}
    for day in range(14):
        assert set(list_of(lake, FIRST + timedelta(day))["version"]) == {"1"}


def test_the_list_has_the_most_suspicious_cards_each_by_its_worst_transaction(lake):
    score_lake(lake, scorer("run-1", budget=10))
    found = scores(lake).reset_index()
    for day in range(14):
        name = str(FIRST + timedelta(day))
        rows = found[found["tx_datetime"].dt.date == FIRST + timedelta(day)]
        worst = rows.sort_values(["score", "transaction_id"], ascending=[False, True])
        worst = worst.drop_duplicates("customer_id").head(10)
        listed = list_of(lake, name)
        assert list(listed.columns) == scoring.ALERT_COLUMNS
        assert list(listed["rank"]) == list(range(1, 11))
        assert list(listed["transaction_id"]) == list(worst["transaction_id"])
        assert listed["reason_1"].notna().all()
        text = pd.read_csv(io.BytesIO(lake.files.read_bytes(f"alerts/{name}.csv")), dtype={"version": str})
        assert list(text["transaction_id"]) == list(listed["transaction_id"])
        assert list(text["reason_1"]) == list(listed["reason_1"])
    # Reasons are kept of those alone that a list can have: of a day in one file no more than the budget.
    assert found["reasons"].notna().sum() == 14 * 10


def test_scores_that_are_missing_are_an_error(lake, monkeypatch):
    plain = scoring.features_of
    monkeypatch.setattr(scoring, "features_of", lambda *given: plain(*given).where("transaction_id > 10"))
    with pytest.raises(RetrainingError, match="840 rows have no score"):
        score_lake(lake, scorer("run-1"))
    assert scoring.score_manifests(lake) == {}


def test_an_empty_lake_is_no_error(spark, tmp_path):
    lake = Lake(spark, str(tmp_path))
    assert score_lake(lake, scorer("run-1"))["rows"] == 0
    assert service.measure(lake, "fraud") == {}


# --------------------------------------------------------------------------------------------------------- in service
# Of two weeks the last seven days are scored live, from the 8th of April on; eight days later their labels are known.
WEEKS = ["2018-04-02", "2018-04-09"]


def eight_days_later(lake, root):
    deliver(root, 14, 8)
    prepare(lake, "later")


def test_what_was_scored_live_is_measured_once_its_labels_are_known(lake, tmp_path):
    score_lake(lake, scorer("run-1"))
    assert service.measure(lake, "fraud") == {}
    lake.files.write_json("monitor/reference/fraud-1.json", {"average_precision": 0.99}, replace=True)
    eight_days_later(lake, tmp_path / "lake")
    score_lake(lake, scorer("run-2", "2"))
    assert list(service.measure(lake, "fraud")) == WEEKS
    found = lake.files.read_json("service/2018-04-09.json")
    assert (found["week"], found["model"]) == (["2018-04-09", "2018-04-15"], "fraud")
    assert found["days"] == [f"2018-04-{day:02d}" for day in range(9, 15)]  # the 15th was scored when it was known
    assert lake.files.read_json("service/2018-04-02.json")["days"] == ["2018-04-08"]
    (one,) = found["versions"].values()
    assert 0 < one["frauds"] < one["rows"] <= 6 * 60
    assert one["interval"][0] <= one["average_precision"] <= one["interval"][1] < one["promised"] == 0.99
    assert one["worse"] is True
    assert service.measure(lake, "fraud") == {}


@pytest.mark.verify
def test_what_was_scored_when_its_labels_were_known_is_no_service(lake, tmp_path):
    eight_days_later(lake, tmp_path / "lake")
    score_lake(lake, scorer("run-1"))
    assert service.measure(lake, "fraud") == {}


@pytest.mark.verify
def test_what_people_caught_is_counted_by_kind_and_money(lake, tmp_path):
    score_lake(lake, scorer("run-1", budget=5))
    eight_days_later(lake, tmp_path / "lake")
    service.measure(lake, "fraud")
    found = lake.files.read_json("service/2018-04-02.json")["alerts"]
    listed = set(list_of(lake, "2018-04-08")["customer_id"])
    frauds = [text.split(",") for text in day_of(7) if text.endswith(",1,1")]
    hit = [fields for fields in frauds if int(fields[2]) in listed]
    assert found["cards"] == 5
    assert found["kinds"] == {"1": {"frauds": len(frauds), "caught": len(hit)}}
    assert found["money"]["frauds"] == pytest.approx(sum(float(fields[4]) for fields in frauds))
    assert found["money"]["caught"] == pytest.approx(sum(float(fields[4]) for fields in hit))


@pytest.mark.verify
def test_labels_that_arrive_measure_the_week_again(lake, tmp_path):
    score_lake(lake, scorer("run-1"))
    eight_days_later(lake, tmp_path / "lake")
    before = service.measure(lake, "fraud")["2018-04-02"]["alerts"]
    deliver(tmp_path / "lake", 7, 4, lambda rows: [rows[0], *map(as_fraud, rows[1:3]), *rows[3:]])
    prepare(lake, "second")
    score_lake(lake, scorer("run-2"))
    after = service.measure(lake, "fraud")["2018-04-02"]["alerts"]
    assert after["kinds"]["1"]["frauds"] == before["kinds"]["1"]["frauds"] + 2


@pytest.mark.verify
def test_a_week_whose_labels_have_not_arrived_is_not_measured(lake, tmp_path):
    for first, days in ((7, 4), (11, 3)):
        deliver(tmp_path / "lake", first, days, lambda rows: [text[: -len(",0,0")] + ",," for text in rows])
    prepare(lake, "second")
    score_lake(lake, scorer("run-1"))
    every_row_has_one(lake)
    eight_days_later(lake, tmp_path / "lake")
    assert service.measure(lake, "fraud") == {}


# ------------------------------------------------------------------------------------------------------------- by hand
@pytest.fixture(scope="module")
def folder_of_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # image 2.1's MLflow leaves a folder `mlruns` where it works
        mlflow.xgboost.save_model(MODELS["1"], "fraud", model_format="ubj")
    return folder / "fraud"


@pytest.mark.verify
def test_a_folder_is_scored_by_hand_as_the_lake_is(spark, lake, folder_of_model, tmp_path):
    score_lake(lake, scorer("run-1"))
    out = tmp_path / "out"
    days = write_scores(spark, str(tmp_path / "lake"), str(folder_of_model), str(out), 100)
    assert days == [str(FIRST + timedelta(day)) for day in range(14)]
    found = spark.read.parquet(str(out / "scores")).toPandas().sort_values("transaction_id")
    assert list(found["score"]) == list(scores(lake)["score"])
    listed = pd.read_csv(out / "alerts" / "2018-04-05.csv")
    assert list(listed["transaction_id"]) == list(list_of(lake, "2018-04-05")["transaction_id"])
    assert write_scores(spark, str(tmp_path / "lake"), str(folder_of_model), str(out), 5) == days  # replaces its own
    assert len(pd.read_csv(out / "alerts" / "2018-04-05.csv")) == 5


@pytest.mark.verify
def test_by_hand_nothing_of_others_is_replaced(spark, lake, folder_of_model, tmp_path):
    root = str(tmp_path / "lake")
    with pytest.raises(RetrainingError, match="is the lake"):
        write_scores(spark, root, str(folder_of_model), root, 100)
    (tmp_path / "out" / "alerts").mkdir(parents=True)
    (tmp_path / "out" / "alerts" / "mine.csv").write_text("mine")
    with pytest.raises(RetrainingError, match=r"alerts holds mine\.csv"):
        write_scores(spark, root, str(folder_of_model), str(tmp_path / "out"), 100)
    with pytest.raises(RetrainingError, match="no model"):
        write_scores(spark, root, str(tmp_path / "nothing"), str(tmp_path / "new"), 100)
    assert (tmp_path / "out" / "alerts" / "mine.csv").read_text() == "mine"
