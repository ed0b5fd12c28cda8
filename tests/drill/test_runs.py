"""Several runs of the live scheduler: triggered together they follow one another; a backfill finds what weeks found."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.generator import Generator
from stack.common import release
from stack.local.airflow_api import DAG
from stack.local.programs.mlflow import mlflow_server
from tests.drill.rig import Rig, seconds, until

START, FIRST_WEEKS, WEEKS = date(2018, 4, 1), 13, 4
SUNDAYS = "0 0 * * 0"  # files begin on Sundays, so a retrain of that day has seen every file before it


def test_two_triggers_at_once_run_one_after_the_other(drill: Rig, record: Callable[..., None]) -> None:
    before, begun = drill.champion(), time.monotonic()
    body = {"logical_date": None, "conf": {"force": True}}
    ids = [drill.airflow.call("POST", f"dags/{DAG}/dagRuns", json=body)["dag_run_id"] for _ in range(2)]
    runs = sorted((drill.ended(run_id, patience=900) for run_id in ids), key=lambda run: seconds(run["start_date"]))
    note(drill, record, 1000, "two-triggers", "two runs are triggered at the same time", ids, begun, before, "stand-in")
    assert [run["state"] for run in runs] == ["success", "success"]
    assert seconds(runs[0]["end_date"]) <= seconds(runs[1]["start_date"])
    first, second = (drill.clusters(run["dag_run_id"]) for run in runs)
    assert len(first) == len(second) == 1
    assert (first[0].deleted or float("inf")) < second[0].created
    assert drill.champion() == str(drill.airflow.xcom(runs[1]["dag_run_id"], "decide")["winner"])


def note(
    drill: Rig,
    record: Callable[..., None],
    place: int,
    case: str,
    done: str,
    ids: Iterable[str],
    begun: float,
    before: str | None,
    jobs: str,
    model: str = release.MODEL,
) -> None:
    """A row for several runs: the worst of their states, who deleted their clusters, the last champion."""
    record(
        place=place,
        case=case,
        done=done,
        jobs=jobs,
        alert=any(drill.was_alerted(run_id, 0) for run_id in ids),
        state=min(drill.run(run_id)["state"] for run_id in ids),
        deleted_by=", ".join(sorted({drill.who_deleted(run_id) for run_id in ids})),
        champion=f"{before or 'none'} -> {drill.champion(model) or 'none'}",
        seconds=round(time.monotonic() - begun),
    )


# ------------------------------------------------------------------------------------------------ the real application
@dataclass
class World:
    """A lake, an experiment and a model of their own, on the drill's stack."""

    rig: Rig
    name: str
    champions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def enter(self) -> None:
        """Makes the world, and makes it the one that the next runs live in; the jobs are the real ones."""
        self.rig.s3.create_bucket(Bucket=self.name)
        replace(mlflow_server(self.rig.state), experiment=self.name, model=self.name).permit()
        self.rig.use(self.rig.real, lake_bucket=self.name, experiment=self.name, model=self.name)

    def deliver(self, files: list[Path]) -> None:
        for path in files:
            self.rig.s3.upload_file(str(path), self.name, f"raw/{path.name}")

    def note(self, run_id: str) -> None:
        """Keeps who is champion after the run: the day on which it was trained, and what the run decided."""
        assert self.rig.run(run_id)["state"] == "success", self.rig.summary(run_id)
        decision = self.rig.airflow.xcom(run_id, "decide")
        found = {str(decision["challenger"]["version"]): decision["as_of"]} | {
            version: kept["as_of"] for kept in self.champions.values() for version in [kept["version"]]
        }
        version = self.rig.champion(self.name)
        assert version is not None
        self.champions[decision["as_of"]] = {
            "version": version,
            "as_of": found[version],
            "action": decision["action"],
            "average_precision": round(decision["challenger"]["metrics"]["average_precision"], 6),
        }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("weeks")
    generator = Generator(seed=7, customers=1500, terminals=3000, start=START)
    weeks = [START + timedelta(weeks=week) for week in range(FIRST_WEEKS + WEEKS - 1)]
    return [generator.write_file(folder, week, 7).path for week in weeks]


@pytest.fixture
def sundays(drill: Rig) -> Iterator[None]:
    """The schedule of the DAG is weekly, and what it starts by itself has ended."""
    World(drill, "nothing").enter()
    known = drill.run_ids()
    drill.upload(schedule=SUNDAYS)
    drill.ended(drill.new_run(known))
    yield
    drill.reset(None)
    drill.use()


def test_a_backfill_of_four_weeks_finds_the_champions_of_four_weekly_runs(
    drill: Rig, files: list[Path], sundays: None, record: Callable[..., None]
) -> None:
    weekly, past = World(drill, "weekly"), World(drill, "past")
    weekly.enter()
    for week in range(WEEKS):
        weekly.deliver(files[:FIRST_WEEKS] if week == 0 else [files[FIRST_WEEKS - 1 + week]])
        begun, known, before = time.monotonic(), drill.run_ids(), drill.champion(weekly.name)
        drill.airflow.announce()
        run_id = drill.new_run(known)
        drill.ended(run_id, patience=900)
        note(
            drill, record, 1001 + week, f"week-{week + 1}", "a weekly run", [run_id], begun, before, "real", weekly.name
        )
        weekly.note(run_id)
    past.enter()
    past.deliver(files)
    begun = time.monotonic()
    days = [START + timedelta(weeks=FIRST_WEEKS + week) for week in range(WEEKS)]
    body = {"dag_id": DAG, "from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[-1]}T00:00:00Z"}
    backfill = drill.airflow.call("POST", "backfills", json=body | {"max_active_runs": 1})
    path = f"backfills/{backfill['id']}"
    until(lambda: drill.airflow.call("GET", path)["completed_at"], "the end of the backfill", 3600, 2)
    runs = [run for run in drill.airflow.runs() if run["run_type"] == "backfill"]
    ids = [run["dag_run_id"] for run in sorted(runs, key=lambda run: run["run_after"])]
    done = "a backfill of the same four weeks, when all files are there"
    note(drill, record, 1100, "backfill", done, ids, begun, None, "real", past.name)
    for run_id in ids:
        past.note(run_id)
    assert [date.fromisoformat(day) for day in sorted(past.champions)] == days
    assert past.champions == weekly.champions
    assert drill.alive() == []
