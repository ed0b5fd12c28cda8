"""Every case of `score` and `rollback`: no cluster stays, no row has two scores, the history tells all and no more."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stack.local.airflow_api import DAG, SCORE
from tests.drill import findings
from tests.drill.cases import Case
from tests.drill.serving import GOES_BACK_TO, NAME, SERVES, Serving
from tests.drill.serving_cases import SERVING
from tests.drill.stack import DrillStack


@pytest.fixture(scope="module")
def world(drill: DrillStack) -> Iterator[Serving]:
    serving = Serving(drill)
    serving.enter()
    serving.bring_day()
    yield serving
    serving.pause()
    drill.dag = DAG
    drill.use()


@pytest.fixture
def serving(world: Serving) -> Iterator[Serving]:
    world.pause()
    world.reset()
    yield world
    for dag in (SCORE, "rollback"):
        for run in world.drill.airflow.runs(dag):
            if run["state"] in ("queued", "running"):
                world.drill.airflow.call("PATCH", f"dags/{dag}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})
    world.drill.reset(None)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in SERVING])
def test_case(serving: Serving, case: Case, record: Callable[..., None]) -> None:
    drill, begun = serving.drill, time.monotonic()
    drill.dag = case.dag
    drill.upload(case.dags)
    drill.inject(*case.rules)
    known = len(serving.book.records())
    if case.dag == SCORE:
        serving.bring_day()
        run_id = serving.trigger(SCORE)
    else:
        run_id = serving.trigger(case.dag, why=f"the drill: {case.name}", to=GOES_BACK_TO)
    case.act(drill, run_id)
    state = drill.wait_for_end(run_id, case.dag)["state"]
    seconds = time.monotonic() - begun
    drill.inject()
    deleted_by = findings.who_deleted(drill, run_id) if case.dag == SCORE else "never made"
    alerted = findings.was_alerted(drill, run_id, seconds=3 if case.green else 45)
    record(
        case=case.name,
        done=case.done,
        jobs="real" if case.dag == SCORE else "-",
        state=state,
        deleted_by=deleted_by,
        seconds=round(seconds),
        alert=alerted,
        champion=f"{SERVES} -> {drill.champion(NAME)}",
    )
    assert [cluster.name for cluster in drill.clusters_alive()] == []
    assert state == ("success" if case.green else "failed"), findings.summary(drill, run_id)
    assert alerted == (state == "failed"), drill.webhook.texts
    (every_row_has_one_score if case.dag == SCORE else the_history_is_complete)(serving, run_id, state, known)


def every_row_has_one_score(serving: Serving, run_id: str, state: str, known: int) -> None:
    """After a red run the next one scores what is left; every row is by the version that served when a run began."""
    drill = serving.drill
    name = findings.name_of(drill, run_id)
    if state == "failed":
        again = serving.trigger(SCORE)
        assert drill.wait_for_end(again, SCORE)["state"] == "success", findings.summary(drill, again)
        assert [cluster.name for cluster in drill.clusters_alive()] == []
        name = findings.name_of(drill, again)
    found: dict[str, Any] = serving.scores()
    assert found["rows"] == found["scores"] > 0
    assert found["odd"] == []
    assert found["versions"][name] == [SERVES]
    assert len(serving.book.records()) == known


def the_history_is_complete(serving: Serving, run_id: str, state: str, known: int) -> None:
    """Green: one record of the rollback, done, and its version serves. Red: none, and the other's move is on record."""
    records = serving.book.records()[known:]
    mine = [record for record in records if record.told["action"] == "rollback"]
    assert all(record.end is not None for record in records)
    assert serving.book.broken() == []
    assert serving.drill.champion(NAME) == records[-1].serves
    if state == "success":
        (made,) = mine
        assert made.end is not None
        assert (made.end["outcome"], made.told["from"], made.told["to"]) == ("done", SERVES, GOES_BACK_TO)
        assert made.told["by"].endswith(f"run {run_id}")
    else:
        assert mine == []
        assert [record.told["action"] for record in records][-1] == "observed"
