"""Several runs of the live scheduler: triggered together they follow one another; a backfill finds what weeks found."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator import Generator
from stack.common import release
from stack.local.airflow_api import DAG
from tests.drill import findings
from tests.drill.findings import seconds_of
from tests.drill.stack import DrillStack
from tests.drill.world import World
from tests.support.waiting import wait_until

START, FIRST_WEEKS, WEEKS = date(2018, 4, 1), 13, 4
SUNDAYS = "0 0 * * 0"  # files begin on Sundays, so a retrain of that day has seen every file before it


@dataclass
class Row:
    """A row of the page that several runs make together, from its creation to `finish`."""

    drill: DrillStack
    case: str
    done: str
    jobs: str = "stand-in"
    model: str = release.MODEL

    def __post_init__(self) -> None:
        self.begun, self.before = time.monotonic(), self.drill.champion(self.model)

    def finish(self, ids: list[str]) -> dict[str, Any]:
        """The worst of the runs' states, who deleted their clusters, the last champion."""
        deleted_by = {findings.who_deleted(self.drill, run_id) for run_id in ids}
        return {
            "case": self.case,
            "done": self.done,
            "jobs": self.jobs,
            "alert": any(findings.was_alerted(self.drill, run_id, 0) for run_id in ids),
            "state": min(self.drill.run(run_id)["state"] for run_id in ids),
            "deleted_by": ", ".join(sorted(deleted_by)),
            "champion": f"{self.before or 'none'} -> {self.drill.champion(self.model) or 'none'}",
            "seconds": round(time.monotonic() - self.begun),
        }


def test_two_triggers_at_once_run_one_after_the_other(drill: DrillStack, record: Callable[..., None]) -> None:
    row = Row(drill, "two-triggers", "two runs are triggered at the same time")
    body = {"logical_date": None, "conf": {"force": True}}
    ids = [drill.airflow.call("POST", f"dags/{DAG}/dagRuns", json=body)["dag_run_id"] for _ in range(2)]
    runs = sorted((drill.wait_for_end(run_id) for run_id in ids), key=lambda run: seconds_of(run["start_date"]))
    record(**row.finish(ids))
    assert [run["state"] for run in runs] == ["success", "success"]
    assert seconds_of(runs[0]["end_date"]) <= seconds_of(runs[1]["start_date"])
    first, second = (findings.clusters_of(drill, run["dag_run_id"]) for run in runs)
    assert len(first) == len(second) == 1
    assert (first[0].deleted or float("inf")) < second[0].created
    assert drill.champion() == str(drill.airflow.xcom(runs[1]["dag_run_id"], "decide")["winner"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("weeks")
    generator = Generator(seed=7, customers=1500, terminals=3000, start=START)
    weeks = [START + timedelta(weeks=week) for week in range(FIRST_WEEKS + WEEKS - 1)]
    return [generator.write_file(folder, week, 7).path for week in weeks]


@pytest.fixture
def sundays(drill: DrillStack) -> Iterator[None]:
    """The schedule of the DAG is weekly, and what it starts by itself has ended."""
    World(drill, "nothing").enter()
    known = drill.run_ids()
    drill.upload(schedule=SUNDAYS)
    drill.wait_for_end(drill.wait_for_new_run(known))
    yield
    drill.reset(None)
    drill.use()


def test_a_backfill_of_four_weeks_finds_the_champions_of_four_weekly_runs(
    drill: DrillStack, files: list[Path], sundays: None, record: Callable[..., None]
) -> None:
    weekly, past = World(drill, "weekly"), World(drill, "past")
    weekly.enter()
    for week in range(WEEKS):
        weekly.deliver(files[:FIRST_WEEKS] if week == 0 else [files[FIRST_WEEKS - 1 + week]])
        row = Row(drill, f"week-{week + 1}", "a weekly run", "real", weekly.name)
        known = drill.run_ids()
        drill.airflow.announce()
        run_id = drill.wait_for_new_run(known)
        drill.wait_for_end(run_id)
        record(**row.finish([run_id]))
        weekly.keep_champion(run_id)
    past.enter()
    past.deliver(files)
    row = Row(drill, "backfill", "a backfill of the same four weeks, when all files are there", "real", past.name)
    days = [START + timedelta(weeks=FIRST_WEEKS + week) for week in range(WEEKS)]
    body = {"dag_id": DAG, "from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[-1]}T00:00:00Z"}
    backfill = drill.airflow.call("POST", "backfills", json=body | {"max_active_runs": 1})
    path = f"backfills/{backfill['id']}"
    wait_until(lambda: drill.airflow.call("GET", path)["completed_at"], "the end of the backfill", 3600, 2)
    runs = [run for run in drill.airflow.runs() if run["run_type"] == "backfill"]
    ids = [run["dag_run_id"] for run in sorted(runs, key=lambda run: run["run_after"])]
    record(**row.finish(ids))
    for run_id in ids:
        past.keep_champion(run_id)
    assert [date.fromisoformat(day) for day in sorted(past.champions)] == days
    assert past.champions == weekly.champions
    assert drill.clusters_alive() == []
