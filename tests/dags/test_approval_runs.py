"""Whole runs of `retrain` where a person must agree: asked once, answered in Airflow, on record; no wait in vain."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

from dags.retraining import approval, compat, history
from tests.dags.test_runs import decides
from tests.dags.world import FAILED, SUCCESS, UPSTREAM, VARIABLE, World

Act = Callable[[], None]
PARKS = compat.AIRFLOW >= (3, 3)  # a task that waits for a person has a state of its own, and no trigger


@pytest.fixture
def asking(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A deployment whose promotions need approval, with a raw file that is new."""
    told = VARIABLE | {"promotion": {"mode": "approval", "hours": 1}}
    monkeypatch.setenv("AIRFLOW_VAR_FRAUD_RETRAINING", json.dumps(told))
    world.bag.dags["retrain"].get_task("approve").poke_interval = 0.5
    if compat.ASKS_PEOPLE and not PARKS:
        the_trigger_reads_the_database(monkeypatch)
    world.put("raw/2018-04-01.txt", b"rows")
    return world


def the_trigger_reads_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor of `dag.test` does not know the two questions of a trigger that waits for a person (3.1.8)."""
    from airflow.models.hitl import HITLDetail
    from airflow.providers.standard.triggers import hitl
    from airflow.utils.session import create_session

    def read(ti_id: Any) -> Any:
        with create_session() as session:
            found = session.get(HITLDetail, str(ti_id))
            user = found.responded_by and SimpleNamespace(**found.responded_by)
            names = ("response_received", "chosen_options", "params_input", "responded_at")
            return SimpleNamespace(responded_by_user=user, **{name: getattr(found, name) for name in names})

    def write(ti_id: Any, chosen_options: list[str], params_input: dict[str, Any]) -> Any:
        with create_session() as session:
            found = session.get(HITLDetail, str(ti_id))
            found.chosen_options, found.params_input = chosen_options, params_input
            found.responded_at = datetime.now(UTC)
        return read(ti_id)

    monkeypatch.setattr(hitl, "get_hitl_detail_content_detail", read)
    monkeypatch.setattr(hitl, "update_hitl_detail_response", write)


def waits(world: World) -> bool:
    """Whether Airflow shows that an answer is wanted."""
    if not compat.ASKS_PEOPLE:
        return approval.waiting(world.s3, "lake") is not None
    from airflow.utils.session import create_session

    with create_session() as session:
        found = unanswered(session)
        return found is not None and (not PARKS or found.task_instance.state == "awaiting_input")


def unanswered(session: Any) -> Any:
    """The question in Airflow's database that nobody has answered, or None."""
    from airflow.models.hitl import HITLDetail

    return session.query(HITLDetail).filter(HITLDetail.responded_at.is_(None)).one_or_none()


def say(world: World, verdict: str, why: str) -> None:
    """What Ann's answer leaves in Airflow: on the task's page, or by the DAG `approve`."""
    if not compat.ASKS_PEOPLE:
        approval.take(world.s3, "lake", "2", approval.answer(verdict, "ann", why))
        return
    from airflow.utils.session import create_session

    with create_session() as session:
        detail = unanswered(session)
        detail.chosen_options = ["Approve" if verdict == approval.APPROVED else "Reject"]
        detail.params_input = {"why": why}
        detail.responded_by, detail.responded_at = {"id": "1", "name": "ann"}, datetime.now(UTC)
        if PARKS:  # as the API does it: there is no trigger that looks
            from airflow.models.trigger import handle_event_submit
            from airflow.triggers.base import TriggerEvent

            event = TriggerEvent(detail.as_resume_event_payload())
            handle_event_submit(event, task_instance=detail.task_instance, session=session)


@contextmanager
def meanwhile(world: World, act: Act) -> Iterator[None]:
    """Does something as soon as the run waits for a person."""

    def person() -> None:
        deadline = time.monotonic() + 120
        while not waits(world) and time.monotonic() < deadline:
            time.sleep(0.2)
        act()

    thread = threading.Thread(target=person)
    thread.start()
    yield
    thread.join()


def last(world: World) -> history.Record:
    found = history.Book(world.s3, "lake", world.models, "fraud").last()
    assert found is not None
    return found


def test_approved_it_serves_with_the_name_of_who_did(asking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(asking, monkeypatch, "promote")
    alive: list[Any] = []

    def agree() -> None:
        while asking.alive():
            time.sleep(0.2)
        alive.extend(asking.alive())
        say(asking, approval.APPROVED, "the figures are right")

    with meanwhile(asking, agree):
        state, tasks, _ = asking.run("retrain")
    assert (state, set(tasks.values()), alive) == (SUCCESS, {SUCCESS}, [])
    assert asking.models.aliases == {"champion": "2", "previous": "1"}
    told = last(asking).told
    assert (told["action"], told["by"]) == ("promote", "run r, approved by ann")
    assert told["why"] == "because; the figures are right"
    asked, ended = asking.alerts
    assert asked.startswith("*retrain waits for your approval of version 2*\nbecause\n")
    assert "http://mlflow.test/#/experiments/7/runs/m/artifacts/report.html" in asked
    assert ("/tasks/approve/required_actions" if compat.ASKS_PEOPLE else "/dags/approve/trigger?version=2") in asked
    assert ended.startswith("*retrain: promote, approved by ann (the figures are right)*")


def test_refused_the_champion_stays_and_the_record_says_by_whom(asking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(asking, monkeypatch, "promote")
    with meanwhile(asking, lambda: say(asking, approval.REFUSED, "")):
        state, tasks, _ = asking.run("retrain")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    assert asking.models.aliases == {"champion": "1"}
    record = last(asking)
    assert (record.told["action"], record.told["by"], record.serves) == ("refused", "run r, refused by ann", "1")
    assert "version 2 was not promoted, 1 stays champion: because" in history.in_words(record)
    assert asking.alerts[-1].startswith("*retrain: promote, refused by ann*")
    assert asking.keys("retrained/") == ["2018-04-01.txt.json"]


@pytest.mark.skipif(PARKS, reason="its scheduler ends the wait, and `dag.test` has none")
def test_without_an_answer_in_time_the_champion_stays(asking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(asking, monkeypatch, "promote")
    monkeypatch.setattr(approval, "patience", lambda known: timedelta(seconds=1))
    state, tasks, _ = asking.run("retrain")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    assert asking.models.aliases == {"champion": "1"}
    assert (last(asking).told["action"], last(asking).serves) == ("unanswered", "1")
    assert asking.alerts[-1].startswith("*retrain: promote, unanswered by anybody (the time for an answer is over)*")


def test_a_champion_that_moved_meanwhile_is_not_replaced(asking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(asking, monkeypatch, "promote")

    def move_and_approve() -> None:
        asking.models.aliases["champion"] = "7"
        say(asking, approval.APPROVED, "")

    with meanwhile(asking, move_and_approve):
        state, tasks, _ = asking.run("retrain")
    assert (state, tasks["promote"], tasks["report"]) == (FAILED, FAILED, UPSTREAM)
    assert (asking.models.aliases["champion"], last(asking).told["action"]) == ("7", "observed")
    assert asking.keys("retrained/") == []


@pytest.mark.parametrize("action", ["keep", "reject"])
def test_nobody_is_asked_when_there_is_nothing_to_promote(
    asking: World, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    decides(asking, monkeypatch, action, winner="1")
    state, tasks, _ = asking.run("retrain")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    assert (asking.keys("approvals/"), len(asking.alerts)) == ([], 1)


# ------------------------------------------------------------------------------------------------ before Airflow 3.1
@pytest.mark.skipif(compat.ASKS_PEOPLE, reason="this Airflow asks people itself")
def test_the_dag_approve_takes_one_answer_with_the_name_of_who_triggered_it(asking: World) -> None:
    from airflow.models import Log
    from airflow.utils.session import create_session

    decision = {"action": "promote", "winner": "2", "champion": None, "reason": "because", "run_id": "r"}
    asked, is_new = approval.ask(asking.s3, {"lake_bucket": "lake"}, decision, "http://report")
    assert is_new
    assert approval.ask(asking.s3, {"lake_bucket": "lake"}, decision, "http://report") == (asked, False)
    assert asking.run("approve", version="3", answer="approved", why="because")[1] == {"answer": FAILED}
    assert approval.answered(asking.s3, "lake", asked) is None
    with create_session() as session:  # as the form of Airflow 2 writes it right before it makes the run
        session.add(Log("trigger", owner="ann", dag_id="approve"))
        session.add(Log("grid", owner="bob", dag_id="approve"))
    assert asking.run("approve", version="2", answer="refused", why="not now")[1] == {"answer": SUCCESS}
    given = approval.answered(asking.s3, "lake", asked)
    assert given is not None
    assert (given["verdict"], given["why"]) == ("refused", "not now")
    assert given["by"].startswith("ann in run manual__")
    assert asking.run("approve", version="2", answer="approved", why="because")[1] == {"answer": FAILED}
    assert approval.answered(asking.s3, "lake", asked) == given


@pytest.mark.skipif(compat.ASKS_PEOPLE, reason="this Airflow asks people itself")
def test_the_dag_approve_takes_no_other_word(asking: World) -> None:
    with pytest.raises(Exception, match=r"maybe|valid"):
        asking.run("approve", version="2", answer="maybe", why="because")
