"""The one place that knows which Airflow this is: 3.1 and newer, or 2.11 while the managed service has it.

Everything else imports these names. On 2.11 assets are called datasets, tasks may ask the metadata database, and a
cron timetable runs at once by itself.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from airflow import __version__
from airflow.timetables.trigger import CronTriggerTimetable

from dags.retraining import settings

AIRFLOW = tuple(int(part) for part in __version__.split(".")[:2])
ASKS_PEOPLE = AIRFLOW >= (3, 1)  # a task may wait for the answer of a person, who gives it on the task's page

if AIRFLOW >= (3, 0):
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
    from airflow.sdk import DAG, Asset, Param, TaskGroup, task
    from airflow.timetables.assets import AssetOrTimeSchedule
else:
    from airflow.datasets import Dataset
    from airflow.decorators import task
    from airflow.models import DAG
    from airflow.models.param import Param
    from airflow.operators.trigger_dagrun import TriggerDagRunOperator
    from airflow.timetables.datasets import DatasetOrTimeSchedule
    from airflow.utils.task_group import TaskGroup

if AIRFLOW >= (3, 2):
    from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException, AirflowSkipException
else:
    from airflow.exceptions import AirflowFailException, AirflowNotFoundException, AirflowSkipException

__all__ = [
    "ASKS_PEOPLE",
    "DAG",
    "DECIDED",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "Param",
    "TaskGroup",
    "TriggerDagRunOperator",
    "answer_url",
    "connection",
    "cron",
    "failed_tasks",
    "is_active",
    "is_backfill",
    "moment",
    "run_url",
    "task",
    "task_states",
    "variable",
    "when_due_or_announced",
    "when_due_or_decided",
    "who",
]


# ------------------------------------------------------------------------------------------------ while a DAG is parsed
def cron(expression: str) -> Any:
    """A timetable by a cron expression in UTC."""
    return CronTriggerTimetable(expression, timezone="UTC")


def asset(name: str, uri: str) -> Any:
    """Something whose change starts runs; known by its address alone before Airflow 3."""
    return Asset(name=name, uri=uri) if AIRFLOW >= (3, 0) else Dataset(uri)


DECIDED = asset("fraud-champion", "fraud-champion://decided")  # it was decided who serves


def when_due_or_announced(expression: str, name: str) -> Any:
    """A schedule: by a cron expression in UTC (also once as soon as the DAG is unpaused), and at events of an asset."""
    news = asset(name, f"{name}://raw")
    if AIRFLOW >= (3, 0):
        due = CronTriggerTimetable(expression, timezone="UTC", run_immediately=True)
        return AssetOrTimeSchedule(timetable=due, assets=[news])
    return DatasetOrTimeSchedule(timetable=cron(expression), datasets=[news])


def when_due_or_decided(expression: str) -> Any:
    """A schedule: by a cron expression in UTC, and whenever it was decided who serves."""
    if AIRFLOW >= (3, 0):
        return AssetOrTimeSchedule(timetable=cron(expression), assets=[DECIDED])
    return DatasetOrTimeSchedule(timetable=cron(expression), datasets=[DECIDED])


# ------------------------------------------------------------------------------------------------ while a task runs
def connection(name: str) -> Any:
    """This stack's connection of that name, or the one that a person has made under the bare name.

    Raises AirflowNotFoundException if there is none.
    """
    own = settings.named(name)
    if own != name:
        with suppress(AirflowNotFoundException):
            return _connection(own)
    return _connection(name)


def _connection(name: str) -> Any:
    if AIRFLOW >= (3, 0):
        from airflow.sdk import Connection

        return Connection.get(name)
    from airflow.hooks.base import BaseHook

    return BaseHook.get_connection(name)


def variable(name: str) -> Any:
    """The JSON value of this stack's variable. Raises KeyError (2.11) or AirflowRuntimeError (3.x) if there is none."""
    if AIRFLOW >= (3, 0):
        from airflow.sdk import Variable
    else:
        from airflow.models import Variable
    return Variable.get(settings.named(name), deserialize_json=True)


def moment(dag_run: Any) -> Any:
    """The time a run is for, the same in all its tasks and attempts."""
    return dag_run.run_after if AIRFLOW >= (3, 0) else dag_run.logical_date


def who(dag_run: Any) -> str:
    """Who asked for a run, as far as Airflow tells, and the run."""
    person = dag_run.triggering_user_name if AIRFLOW >= (3, 1) else _who_triggered(dag_run)
    return f"{person} in run {dag_run.run_id}" if person else f"run {dag_run.run_id}"


def _who_triggered(dag_run: Any) -> str | None:
    """Whose form or call made a run, by Airflow's own log of what people do; it is written right before the run."""
    from airflow.models import Log
    from airflow.utils.session import create_session

    asks = Log.event.like("%trigger%") | Log.event.like("%dag_run%")
    with create_session() as session:
        of_this = session.query(Log.owner).filter(Log.dag_id == dag_run.dag_id, Log.task_id.is_(None), asks)
        last = of_this.filter(Log.dttm <= (dag_run.queued_at or dag_run.start_date)).order_by(Log.dttm.desc()).first()
    return last[0] if last and str(dag_run.run_type) == "manual" else None


def is_backfill(dag_run: Any) -> bool:
    return str(getattr(dag_run.run_type, "value", dag_run.run_type)) == "backfill"


def is_active(ti: Any, dag_id: str, run_id: str) -> bool:
    """Whether that run is queued or running; `ti` is the task instance that asks."""
    if AIRFLOW >= (3, 0):
        return ti.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=["queued", "running"]) > 0
    from airflow.models import DagRun

    return any(run.state in ("queued", "running") for run in DagRun.find(dag_id=dag_id, run_id=run_id))


def task_states(context: Any) -> dict[str, Any]:
    """Task id -> state in the run of a task or a callback; empty if Airflow does not tell."""
    with suppress(Exception):  # who cannot be asked must keep neither an alert back nor a deletion
        dag_id, run_id = context["dag"].dag_id, context["run_id"]
        if AIRFLOW >= (3, 0):
            return dict(context["ti"].get_task_states(dag_id, run_ids=[run_id]).get(run_id, {}))
        return {one.task_id: one.state for one in context["dag_run"].get_task_instances()}
    return {}


def failed_tasks(context: Any) -> Sequence[str]:
    """Ids of the failed tasks of the run that a callback is called for, as far as Airflow tells."""
    return sorted(name for name, state in task_states(context).items() if state == "failed")


def run_url(dag_id: str, run_id: str) -> str:
    """Address of a run in Airflow's UI."""
    from airflow.configuration import conf

    if AIRFLOW >= (3, 0):
        return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/dags/{dag_id}/runs/{quote(run_id, safe='')}"
    return f"{conf.get('webserver', 'base_url').rstrip('/')}/dags/{dag_id}/grid?dag_run_id={quote(run_id, safe='')}"


def answer_url(dag_id: str, run_id: str, task_id: str, version: str) -> str:
    """Address of the page on which a person answers the question of a task."""
    from airflow.configuration import conf

    if ASKS_PEOPLE:
        return f"{run_url(dag_id, run_id)}/tasks/{task_id}/required_actions"
    return f"{conf.get('webserver', 'base_url').rstrip('/')}/dags/approve/trigger?version={version}"
