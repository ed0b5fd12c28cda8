"""Whole retrains on real data against a real MLflow server; in `make test` on every fourth card's of them.

``FRAUD_MLFLOW_PYTHON`` names an interpreter with requirements/mlflow.txt.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import runpy
import socket
import subprocess
import time
import urllib.request
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import ANY

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from fraud_retraining import dataset, descriptions, evidence, model, offline, quality, scoring, tracking, training
from fraud_retraining.errors import RetrainingError
from fraud_retraining.features import ALL_FEATURES
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare
from tests.spark.transactions import line, write
from tests.support import VERIFY

SETTINGS = training.Settings(train_days=14)
FIRST, SECOND = date(2018, 5, 20), date(2018, 5, 27)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """MLflow on its way up: its process, its address and its log."""
    python = os.environ.get("FRAUD_MLFLOW_PYTHON")
    if not python:
        pytest.skip("FRAUD_MLFLOW_PYTHON names no interpreter with requirements/mlflow.txt")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", f"{folder}/artifacts"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True)
    yield process, f"http://127.0.0.1:{port}", folder / "log"
    os.killpg(process.pid, 15)
    process.wait(30)


@pytest.fixture(scope="module")
def mlflow_uri(server):
    process, uri, log = server
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{uri}/health", timeout=5).close()
            return uri
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.3)
    raise AssertionError(f"MLflow at {uri} does not answer: {log.read_text()[-2000:]}")


def is_kept(card):
    return not card.isdigit() or int(card) % 4 == 0


@pytest.fixture(scope="module")
def lake(spark, sample, tmp_path_factory, server):
    """Seven prepared weeks; MLflow starts meanwhile."""
    root = tmp_path_factory.mktemp("lake")
    (root / "raw").mkdir()
    for source in sorted(sample.glob("*.txt.gz"))[:7]:
        if VERIFY:
            (root / "raw" / source.name).symlink_to(source)
        else:
            with gzip.open(source, "rt", encoding="utf-8") as text:
                header, *rows = text.read().splitlines()
            write(root, source.name, [row for row in rows if is_kept(row.split(",")[2])], header)
    lake = Lake(spark, str(root))
    prepare(lake, "run-1")
    return lake


@pytest.fixture(scope="module")
def client(mlflow_uri):
    return tracking.connect(mlflow_uri, "fraud-retraining")


@pytest.fixture(scope="module")
def decisions(lake, client):
    """The first retrain, its model promoted; then a week later the second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", "trainer")
        request = training.Request("run-1", "fraud", FIRST, release="abc")
        first = training.retrain(lake, client, request, SETTINGS)
    client.set_registered_model_alias("fraud", "champion", first["winner"])
    return first, training.retrain(lake, client, training.Request("run-2", "fraud", SECOND), SETTINGS)


def artifact(client, decision, name):
    return mlflow.artifacts.load_text(f"runs:/{decision['mlflow_run_id']}/{name}")


def test_the_first_model_is_promoted_and_everything_recorded(client, decisions):
    first, _ = decisions
    assert (first["action"], first["winner"], first["champion"]) == ("promote", "1", None)
    assert first["challenger"]["metrics"]["average_precision"] > 0.6 > 2 * first["amount_only_average_precision"]
    assert first["windows"]["test"] == ["2018-05-06", "2018-05-12"]
    (run,) = client.search_runs(["1"], "tags.retrain_run_id = 'run-1'")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["average_precision"] == first["challenger"]["metrics"]["average_precision"]
    assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {
        "decision.json",
        "report.html",
        "report.md",
        "report.json",
        "model_card.md",
    }
    assert json.loads(artifact(client, first, "decision.json")) == json.loads(json.dumps(first))
    assert first["reason"] in artifact(client, first, "report.md")
    assert first["reason"] in artifact(client, first, "report.json")
    assert first["reason"] in run.data.tags["mlflow.note.content"]


def test_the_experiment_opens_on_its_runs_and_says_what_they_are(client, decisions):
    tags = client.get_experiment_by_name("fraud-retraining").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "Each run is one retrain" in tags["mlflow.note.content"]
    client.set_experiment_tag("1", "mlflow.note.content", "a person's own words")
    descriptions.describe_experiment(client, "1")
    assert client.get_experiment("1").tags["mlflow.note.content"] == "a person's own words"


def test_a_run_names_its_user_its_code_and_its_data(lake, client, decisions):
    first = client.get_run(decisions[0]["mlflow_run_id"])
    names = ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "release")
    assert [first.data.tags[name] for name in names] == ["trainer", "fraud_retraining abc", "JOB", "abc"]
    used = {one.dataset.name: one for one in first.inputs.dataset_inputs}
    windows = decisions[0]["windows"]
    assert set(used) == {"{} {} .. {}".format(name, *windows[name]) for name in ("train", "test")}
    assert {one.dataset.digest for one in used.values()} == {first.data.params["data_digest"]}
    for name, metric, context in (("train", "train_rows", "training"), ("test", "test_rows", "evaluation")):
        one = used["{} {} .. {}".format(name, *windows[name])]
        assert json.loads(one.dataset.source) == {"uri": lake.files.path("prepared")}
        assert json.loads(one.dataset.profile) == {"num_rows": first.data.metrics[metric]}
        assert {"tx_amount"} < {column["name"] for column in json.loads(one.dataset.schema)["mlflow_colspec"]}
        assert [(tag.key, tag.value) for tag in one.tags] == [("mlflow.data.context", context)]


def test_a_version_says_what_it_is_and_how_to_load_it(client, decisions, lake):
    assert "| `champion` | serves" in client.get_registered_model("fraud").description
    text = client.get_model_version("fraud", "2").description
    assert text.startswith(f"**{decisions[1]['action']}**: {decisions[1]['reason']}.")
    assert f"/runs/{decisions[1]['mlflow_run_id']}?workflowType=machine_learning)" in text
    assert "| test | {} .. {} |".format(*decisions[1]["windows"]["test"]) in text
    sides = [decisions[1][side]["metrics"]["average_precision"] for side in ("challenger", "champion")]
    assert "| average precision | {:.3f} | {:.3f} |".format(*sides) in text
    (code,) = re.findall(r"```python\n(.*?)\n```", text, re.S)
    assert len(code.splitlines()) == 5
    rows = training.load(lake, SECOND, SETTINGS).test.limit(20).toPandas()
    found = {"rows": rows}
    exec(code, found)  # noqa: S102  the very words of the description
    booster, _ = tracking.load_boosters("fraud", [tracking.Version("2", "earlier")], ALL_FEATURES)
    assert np.array_equal(found["scores"], model.predict(booster["2"], rows))


def test_the_rows_that_broke_rules_are_metrics_of_the_run_that_prepared_them(lake, client, decisions):
    report = lake.files.read_json("runs/run-1/prepare.json")
    metrics = client.get_run(decisions[0]["mlflow_run_id"]).data.metrics
    assert {name for name in metrics if name.startswith("quarantined_")} == {
        "quarantined_rows",
        *(f"quarantined_{rule}" for rule in quality.RULE_NAMES),
    }
    assert metrics["prepared_rows"] + metrics["quarantined_rows"] == report["rows"]
    assert all(metrics[f"quarantined_{rule}"] == count for rule, count in report["quarantined"].items())
    assert sum(report["quarantined"].values()) == metrics["quarantined_rows"] > 0
    later = client.get_run(decisions[1]["mlflow_run_id"]).data.metrics
    assert not [name for name in later if name.startswith("quarantined_")]


def test_the_report_draws_what_the_lake_and_the_retrain_know(lake, client, decisions):
    first, second = (json.loads(artifact(client, one, "report.json")) for one in decisions)
    prepared = lake.files.read_json("runs/run-1/prepare.json")
    assert (first["quality"]["rows"], first["quality"]["quarantined"]) == (prepared["rows"], prepared["quarantined"])
    assert [one["name"] for one in first["quality"]["files"]] == prepared["files"]
    assert first["comparison"] is None
    assert first["first"]["floor"] == SETTINGS.gate.floor
    assert second["absent"]["quality"] == "This run prepared no raw file: all of them were prepared before."
    assert second["comparison"]["gain"] == pytest.approx(decisions[1]["comparison"]["gain"], rel=1e-5)
    assert {(one["version"], one["kind"]) for one in second["history"]["points"]} >= {("1", "chosen"), ("1", "retrain")}
    assert {one["kind"] for one in second["kinds"]} == {"1", "2", "3"}
    assert sum(one["frauds"] for one in second["kinds"]) == second["counts"]["test_frauds"]
    for found, decision in ((first, decisions[0]), (second, decisions[1])):
        measured = decision["challenger"]["metrics"]["card_precision_100"]
        assert found["budgets"][0]["precision"] == pytest.approx(measured, rel=1e-5)
        assert {one["name"] for one in found["drift"]} == set(ALL_FEATURES)
        assert {one["name"] for one in found["steps"]} >= {"features", "train", "score", "register", "decide"}


def test_the_model_card_is_with_the_model_and_its_lines_score(client, decisions, spark, tmp_path, monkeypatch):
    """The five lines of the card, as they stand there, on what ``make features`` writes."""
    folder = mlflow.artifacts.download_artifacts("models:/fraud/1", dst_path=str(tmp_path))
    card = (Path(folder) / "model_card.md").read_text(encoding="utf-8")
    assert card == artifact(client, decisions[0], "model_card.md")
    assert f"data fingerprint: {client.get_run(decisions[0]['mlflow_run_id']).data.params['data_digest']}" in card
    write(tmp_path / "lake", "2018-04-01.txt", [line(number) for number in range(50)])
    offline.write_features(spark, str(tmp_path / "lake"), str(tmp_path / "features"))
    code = card.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) == 5
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.py").write_text(code)
    found = runpy.run_path("lines.py")
    assert len(found["rows"]) == 50
    assert found["rows"]["score"].between(0, 1).all()


def test_mlflows_viewer_shows_the_report(mlflow_uri, browser, decisions):
    second = decisions[1]
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(
        f"{mlflow_uri}/#/experiments/1/runs/{second['mlflow_run_id']}/artifacts/report.html?workflowType=machine_learning"
    )
    shown = page.frame_locator("iframe")
    shown.get_by_text("Retrain as of 27 May 2018").wait_for(timeout=120_000)
    assert second["comparison"]["other"] in shown.locator(".headline").inner_text()
    svg = shown.locator("figure svg").first
    svg.scroll_into_view_if_needed()
    assert svg.bounding_box()["width"] > 300
    colour = svg.locator("text").first.evaluate("each => getComputedStyle(each).fill")
    assert colour not in ("rgb(0, 0, 0)", "none")  # the style sheet of the page is let in
    shown.locator("h1").scroll_into_view_if_needed()
    assert said == []
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / "mlflow-report.png")
    page.close()


@pytest.mark.verify
def test_of_a_large_week_whole_customers_are_scored(lake, client, decisions):
    data = training.load(lake, FIRST, SETTINGS)
    booster, _ = tracking.load_boosters("fraud", [tracking.Version("1", "champion")], data.test.columns)
    whole = training.score(data, "fraud", booster["1"], [], SETTINGS.most_scored)
    part = training.score(data, "fraud", booster["1"], [], len(whole.week.labels) // 2)
    assert len(part.week.labels) == pytest.approx(len(whole.week.labels) / 2, rel=0.1)
    rows_of = dict(zip(*np.unique(whole.week.customers, return_counts=True)))
    chosen = dict(zip(*np.unique(part.week.customers, return_counts=True)))
    assert all(rows_of[customer] == rows for customer, rows in chosen.items())


def test_the_second_is_compared_with_the_champion_on_the_same_week(client, decisions):
    _, second = decisions
    assert second["champion"]["version"] == "1"
    assert {c["version"]: c["role"] for c in second["candidates"]} == {"1": "champion", "2": "challenger"}
    gate = SETTINGS.gate
    passes = second["comparison"]["gain"] >= gate.min_gain and second["comparison"]["lower_bound"] > 0
    known = second["evidence"]["candidates"]["2"]["log_e"] >= math.log(1 / gate.alpha)
    assert second["action"] == ("promote" if passes or known else "keep")
    assert second["decided_by"] == ("weeks" if known and not passes else "week")
    assert str(client.get_model_version_by_alias("fraud", "champion").version) == "1"  # training moves no champion
    assert str(client.get_model_version_by_alias("fraud", "challenger").version) == "2"


def test_what_a_later_look_compares_with_is_left_in_the_lake(lake, decisions):
    first, second = decisions
    known = lake.files.read_json("monitor/reference/fraud-1.json")
    assert (known["run_id"], known["version"], known["windows"]) == ("run-1", "1", first["windows"])
    assert known["average_precision"] == first["challenger"]["metrics"]["average_precision"]
    assert set(known["histograms"]) == {*ALL_FEATURES, "score"}
    found = lake.files.read_json("monitor/runs/run-2.json")
    assert (found["version"], found["average_precision"]) == (
        "1",
        second["champion"]["metrics"]["average_precision"],
    )
    sizes = {name: len(counts) for name, counts in found["counts"].items()}
    assert sizes == {name: len(one["counts"]) for name, one in known["histograms"].items()}
    assert len({sum(counts) for counts in found["counts"].values()}) == 1
    assert not lake.files.exists("monitor/runs/run-1.json")  # there was no champion yet


@pytest.mark.verify
def test_a_dry_run_decides_and_leaves_nothing_but_its_record(lake, client, decisions):
    before = {v.version for v in client.search_model_versions("name='fraud'")}
    gain = evidence.Gain(0.02, 1e-4)
    evidence.record(lake, "fraud", "run-1b", evidence.Week(dataset.split_as_of(FIRST).test, "1", {"2": gain}))
    decision = training.retrain(lake, client, training.Request("run-dry", "fraud", SECOND, dry_run=True), SETTINGS)
    weeks = decision["evidence"]["candidates"]["2"]["weeks"]  # two weeks of the pair, of which the second is this one
    assert [one["week"] for one in weeks] == [["2018-05-06", "2018-05-12"], ["2018-05-13", "2018-05-19"]]
    kept = lake.files.read_json("evidence/fraud/2018-05-13.json")
    assert [one["gain"] for one in weeks] == [0.02, kept["gains"]["2"]["gain"]]
    assert (kept["run_id"], kept["champion"]) == ("run-2", "1")
    assert decisions[1]["evidence"]["candidates"]["2"]["weeks"] == [{**weeks[1], "log_e": ANY}]
    assert decision["evidence"]["champion"] == decision["champion"]["version"]
    assert (decision["dry_run"], decision["challenger"]["version"]) == (True, training.UNREGISTERED)
    assert decision["action"] in ("keep", "promote")
    assert {v.version for v in client.search_model_versions("name='fraud'")} == before
    assert str(client.get_model_version_by_alias("fraud", "challenger").version) == "2"
    assert not lake.files.exists("monitor/runs/run-dry.json")
    (run,) = client.search_runs(["1"], "tags.retrain_run_id = 'run-dry'")
    assert (run.info.status, run.data.tags["dry_run"]) == ("FINISHED", "True")


def test_the_registered_model_scores_the_same_without_spark(lake, decisions):
    import mlflow

    data = training.load(lake, FIRST, SETTINGS)
    served = mlflow.pyfunc.load_model("models:/fraud/1")
    assert served.metadata.signature.inputs.input_names() == ALL_FEATURES
    booster = mlflow.xgboost.load_model("models:/fraud/1")
    scored = model.score(data.test, {"score": booster}, ["transaction_id"]).toPandas()
    rows = data.test.toPandas().set_index("transaction_id").loc[scored["transaction_id"]]
    inputs = rows[ALL_FEATURES].astype("float64").reset_index(drop=True)
    assert np.array_equal(served.predict(inputs).astype("float64"), scored["score"].to_numpy())


@pytest.mark.verify
def test_the_champion_at_work_gives_the_scores_of_the_tournament(lake, client, decisions):
    version, booster = tracking.serving(client, "fraud")
    report = scoring.score_lake(lake, scoring.Scorer(version, booster, "run-s"))
    assert (report["version"], version) == ("1", "1")
    assert report["rows"] == sum(manifest["prepared"] for manifest in lake.manifests().values())
    data = training.load(lake, SECOND, SETTINGS)
    entrants = training.score(data, "fraud", booster, [tracking.Version("1", "champion")], SETTINGS.most_scored)
    then = data.test.select("transaction_id").toPandas()["transaction_id"].sort_values()
    parts = [part for manifest in scoring.score_manifests(lake).values() for part in manifest["parts"]]
    scored = (
        lake.files.parquet([lake.files.path(f"scores/{part}") for part in parts]).toPandas().set_index("transaction_id")
    )
    assert np.array_equal(scored.loc[then, "score"].to_numpy(), entrants.challenger.scores)  # to the bit


def test_a_run_scores_by_the_version_that_it_began_with_unless_that_is_rolled_back(client, decisions):
    assert tracking.serving(client, "fraud", "2")[0] == "2"
    client.set_model_version_tag("fraud", "2", tracking.BARRED_TAG, "it finds nothing")
    try:
        assert tracking.serving(client, "fraud", "2")[0] == "1"
    finally:
        client.delete_model_version_tag("fraud", "2", tracking.BARRED_TAG)


def test_nobody_serves_before_the_first_promotion(client):
    with pytest.raises(RetrainingError, match="no version of nobody is champion yet; run retrain first"):
        tracking.serving(client, "nobody")


def test_what_was_rolled_back_does_not_compete(client, decisions):
    client.set_model_version_tag("fraud", "2", tracking.BARRED_TAG, "it finds nothing")
    try:
        versions = tracking.competitors(client, "fraud", earlier=5)
        split = dataset.split_as_of(SECOND)
        fair, left_out = tracking.fair(versions, split.test)
    finally:
        client.delete_model_version_tag("fraud", "2", tracking.BARRED_TAG)
    assert "2" not in [one.version for one in fair]
    assert {"version": "2", "reason": "it is barred since a rollback: it finds nothing"} in left_out


@pytest.mark.verify
def test_training_is_deterministic(lake):
    raw = []
    for _ in range(2):
        data = training.load(lake, FIRST, SETTINGS)
        raw.append(model.train(data.train, ALL_FEATURES, data.counts["train_rows"], 42).save_raw("ubj"))
    assert raw[0] == raw[1]


def test_a_version_that_cannot_be_loaded_is_skipped_with_its_reason(client, decisions):
    run = client.get_run(decisions[0]["mlflow_run_id"])
    client.create_model_version("fraud", f"{run.info.artifact_uri}/nothing", run.info.run_id)  # no model
    versions = tracking.competitors(client, "fraud", earlier=5)
    assert [(one.version, one.role) for one in versions] == [("1", "champion"), ("3", "earlier"), ("2", "earlier")]
    boosters, skipped = tracking.load_boosters("fraud", versions, ALL_FEATURES)
    assert (sorted(boosters), [one["version"] for one in skipped]) == (["1", "2"], ["3"])
    assert skipped[0]["reason"]
    boosters, skipped = tracking.load_boosters("fraud", versions[:1], ALL_FEATURES[1:])
    assert boosters == {}
    assert "tx_amount" in skipped[0]["reason"]


@pytest.mark.verify
def test_a_version_that_has_seen_the_test_week_does_not_compete_on_it(lake, client, decisions):
    past = training.retrain(lake, client, training.Request("run-past", "fraud", date(2018, 5, 6)), SETTINGS)
    assert past["windows"]["test"] == ["2018-04-22", "2018-04-28"]
    assert (past["action"], past["winner"], past["champion"]) == ("keep", "1", {"version": "1", "metrics": None})
    assert "champion 1 was trained on this test week" in past["reason"]
    assert {"1", "2"} <= {one["version"] for one in past["skipped"]}
    assert "trained on days up to 2018-04-28" in past["skipped"][0]["reason"]
    assert [candidate["role"] for candidate in past["candidates"]] == ["challenger"]
    assert not lake.files.exists("monitor/runs/run-past.json")  # what the champion has seen is no look at drift


def test_past_champions_compete_for_ever(client, decisions):
    assert [one.version for one in tracking.competitors(client, "fraud", earlier=0)] == ["1"]
    client.set_model_version_tag("fraud", "2", tracking.PROMOTED_TAG, "2018-05-27")
    assert [one.version for one in tracking.competitors(client, "fraud", earlier=0)] == ["1", "2"]


@pytest.mark.verify
def test_a_challenger_that_does_not_beat_the_amount_is_not_registered(lake, client):
    weak = training.Settings(train_days=14, features=["tx_during_weekend"])
    decision = training.retrain(lake, client, training.Request("run-weak", "weak", FIRST), weak)
    assert (decision["action"], decision["challenger"]["version"]) == ("reject", None)
    assert client.search_model_versions("name='weak'") == []


def test_too_little_data_is_a_clear_error_and_a_failed_run(lake, client):
    with pytest.raises(RetrainingError, match="is not prepared"):
        training.retrain(lake, client, training.Request("run-early", "fraud", FIRST + timedelta(60)), SETTINGS)
    (run,) = client.search_runs(["1"], "tags.retrain_run_id = 'run-early'")
    assert run.info.status == "FAILED"


def test_a_server_that_does_not_answer_is_a_clear_error(monkeypatch, mlflow_uri):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RetrainingError, match=r"MLflow at http://127\.0\.0\.1:1"):
        tracking.connect("http://127.0.0.1:1", "x")
    tracking.connect(mlflow_uri, "fraud-retraining")


def test_the_split_of_a_retrain_ends_where_labels_end(lake):
    split = dataset.split_as_of(FIRST)
    assert split.test.last + timedelta(8) == FIRST


@pytest.mark.verify
def test_the_registered_model_scores_what_make_features_writes(spark, decisions, tmp_path):
    write(tmp_path / "lake", "2018-04-01.txt", [line(number) for number in range(200)])
    offline.write_features(spark, str(tmp_path / "lake"), str(tmp_path / "features"))
    rows = spark.read.parquet(str(tmp_path / "features")).orderBy("transaction_id")
    uri = "models:/fraud/1"
    loaded = mlflow.pyfunc.load_model(uri)
    scores = np.asarray(loaded.predict(rows.toPandas()), dtype="float32")
    names = loaded.metadata.signature.inputs.input_names()
    score = mlflow.pyfunc.spark_udf(spark, uri, result_type="float", env_manager="local")
    on_spark = rows.select(score(*names).alias("score")).toPandas()["score"].to_numpy()
    assert len(scores) == 200
    assert np.array_equal(scores, on_spark.astype("float32"))


class Unavailable:
    """A registry that does not answer."""

    def get_model_version_by_alias(self, *_):
        raise MlflowException("API request failed with error code 503", error_code=1)  # INTERNAL_ERROR


def test_no_answer_is_not_no_champion(client):
    with pytest.raises(RetrainingError, match=r"does not say which version of fraud is the champion.*503"):
        tracking.competitors(Unavailable(), "fraud", earlier=5)
    assert tracking.champion_of(client, "never-registered") is None


def late_labels(number, day):
    """A row whose label has not arrived if its day is after the 21st or its number ends in 3; each tenth is a fraud."""
    fields = line(number, day).split(",")[:7]
    fields[2] = str(number)  # a card of its own: one with a known fraud is not measured on
    return ",".join(fields) + (",," if day > 21 or number % 10 == 3 else ",1,2" if number % 10 == 0 else ",0,0")


@pytest.mark.verify
def test_nothing_is_trained_or_measured_on_a_label_that_has_not_arrived(spark, tmp_path):
    settings = training.Settings(train_days=7)
    for day in range(1, 31):
        numbers = range(100 * day, 100 * day + 100)
        write(tmp_path, f"2018-04-{day:02d}.txt", [late_labels(number, day) for number in numbers])
    lake = Lake(spark, str(tmp_path))
    prepare(lake, "one")
    data = training.load(lake, None, settings)
    assert data.split.to_dict()["test"] == ["2018-04-15", "2018-04-21"]  # the newest week that has its labels
    assert "labels have arrived for a retrain on 2018-04-29" in data.why
    for rows, days in ((data.train, range(1, 8)), (data.test, range(15, 22))):
        found = {row["transaction_id"]: row["tx_fraud"] for row in rows.select("transaction_id", "tx_fraud").collect()}
        assert found
        assert {number // 100 for number in found} <= set(days)
        assert all(fraud == (number % 10 == 0) for number, fraud in found.items())
        assert not any(number % 10 == 3 for number in found)
    assert data.counts["train_rows"] == data.train.count() == 7 * 90
    assert (data.counts["train_rows_without_label"], data.counts["test_rows_without_label"]) == (70, 70)
    with pytest.raises(RetrainingError, match=r"of 700 rows in the test week .* have no label yet, at most 10% may"):
        training.load(lake, date(2018, 5, 1), settings)
    split, rows = offline.read(lake.files, date(2018, 5, 1), settings)
    with pytest.raises(RetrainingError, match="have no label yet"):
        training.make_data(rows, date(2018, 5, 1), split, settings, "")


def test_the_decision_says_which_day_was_the_newest(decisions):
    assert decisions[0]["as_of_reason"].startswith("asked for; 2018-05-19 is the newest complete day:")
