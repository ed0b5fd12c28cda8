"""Whole runs of `score` by Airflow itself: when there is something to do, what people are told, what goes wrong."""

from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

from dags.retraining import operators
from tests.dags.world import FAILED, SKIPPED, SUCCESS, World

LIST = """rank,customer_id,score,reason_1,reason_2,reason_3
1,42,0.93,amount 312.40,at night,
"""


def job_has_scored(world: World, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """What the job of the next run leaves, whatever its name."""
    report = {
        "rows": 60,
        "version": "1",
        "budget": 100,
        "alert_days": ["2018-04-06", "2018-04-07"],
        "weeks": {},
        "worse": [],
        **more,
    }
    plain = operators.RunJob.execute

    def execute(self: Any, context: Any, **marked: Any) -> None:  # Airflow 2 marks who calls
        world.put("alerts/2018-04-07.csv", LIST.encode())
        world.put(f"runs/{self.spec['args'][3]}/score.json", report)
        plain(self, context, **marked)

    monkeypatch.setattr(operators.RunJob, "execute", execute)


def scored(world: World, name: str, content: bytes) -> None:
    """A raw file that is prepared and scored as it is."""
    world.put(f"raw/{name}", content)
    etag = world.s3.head_object(Bucket="lake", Key=f"raw/{name}")["ETag"].strip('"')
    world.put(f"manifest/{name}.json", {"fingerprint": etag, "digest": "d"})
    world.put(f"scores/manifest/{name}.json", {"digest": "d"})


def test_new_transactions_are_scored_and_people_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job_has_scored(world, monkeypatch)
    world.put("raw/2018-04-01.txt", b"rows")
    seen: list[Any] = []
    monkeypatch.setattr(operators.RunJob, "pre_execute", lambda *_, **__: seen.extend(world.alive()))
    state, tasks, run = world.run("score")
    assert (state, set(tasks.values()), world.alive()) == (SUCCESS, {SUCCESS}, [])
    (cluster,) = seen
    assert (cluster.labels["dag"], cluster.description) == ("score", run.run_id)
    assert cluster.name.startswith("fraud-score-")
    assert world.arguments("score")[-5:] == ["--experiment", "e", "--model", "fraud", "--version=1"]
    (alert,) = world.alerts
    assert alert.startswith("*score: up to 100 cards to look at on 2018-04-07*\n60 transactions scored by version 1\n")
    assert "1. card 42, 0.93: amount 312.40, at night\nthe list: s3://lake/alerts/2018-04-07.csv" in alert


def test_a_model_that_does_worse_than_it_promised_says_so_loudly(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job_has_scored(world, monkeypatch, weeks={"2018-04-02": "AP 0.500"}, worse=["2018-04-02"])
    world.put("raw/2018-04-01.txt", b"rows")
    assert world.run("score")[0] == SUCCESS
    assert world.alerts[0].startswith("*score: a version did worse than it promised in the week of 2018-04-02*")


def test_without_anything_new_no_cluster_is_made(world: World) -> None:
    scored(world, "2018-04-01.txt", b"rows")
    state, tasks, _ = world.run("score")
    assert (state, set(tasks.values()), world.alerts) == (SUCCESS, {SKIPPED}, [])


def test_without_a_champion_nothing_is_done(world: World) -> None:
    world.models.aliases.clear()
    world.put("raw/2018-04-01.txt", b"rows")
    state, tasks, _ = world.run("score")
    assert (state, set(tasks.values()), world.alive()) == (SUCCESS, {SKIPPED}, [])


@pytest.mark.parametrize("change", ["raw", "prepared"])
def test_a_file_that_has_changed_is_to_be_scored(world: World, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    job_has_scored(world, monkeypatch)
    scored(world, "2018-04-01.txt", b"rows")
    if change == "raw":
        world.put("raw/2018-04-01.txt", b"rows with more labels")
    else:
        manifest = {"fingerprint": world.s3.head_object(Bucket="lake", Key="raw/2018-04-01.txt")["ETag"], "digest": "e"}
        world.put("manifest/2018-04-01.txt.json", manifest)
    assert world.run("score")[1]["tell"] == SUCCESS


def test_what_could_not_be_prepared_makes_the_run_red_and_the_rest_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_has_scored(world, monkeypatch)
    world.put("raw/2018-04-01.txt", b"rows")
    (world.jobs / "score.py").write_text("raise SystemExit('a broken file')")
    state, tasks, _ = world.run("score")
    assert (state, tasks["cluster.score"], tasks["tell"], world.alive()) == (FAILED, FAILED, FAILED, [])
    assert [alert for alert in world.alerts if alert.startswith("*score: up to 100 cards")]


def test_a_job_that_scored_nothing_makes_the_run_red(world: World) -> None:
    world.put("raw/2018-04-01.txt", b"rows")
    (world.jobs / "score.py").write_text("raise SystemExit('no memory')")
    state, tasks, _ = world.run("score")
    assert (state, tasks["tell"], world.alive()) == (FAILED, FAILED, [])
    assert not [alert for alert in world.alerts if "cards to look at" in alert]
