"""Following runs of a DAG in Airflow until one has done what is wanted; a failed one is told with its last words."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from stack.common.console import say
from stack.common.errors import StackError
from stack.common.waiting import wait_until
from stack.running.airflow_api import RETRAIN, SCORE, Airflow

SHOWN = {
    "running": "…",
    "success": "[green]done[/]",
    "failed": "[red]failed[/]",
    "up_for_retry": "failed, will retry",
    "deferred": "[yellow]waits for your answer[/]",
}
NOT_DONE = {RETRAIN: "Nothing was promoted.", SCORE: "What was not scored stays to be scored."}
AGAIN = dict.fromkeys((RETRAIN, SCORE), "`make demo`")
TIMEOUT = 3600  # seconds after which a run that does not end is given up


def seconds_of(task: dict[str, Any]) -> float:
    """How long a task ran. Airflow's own `duration` is wrong on SQLite (3.1.8 counts seconds of the minute twice)."""
    if not (task["start_date"] and task["end_date"]):
        return 0.0
    return (datetime.fromisoformat(task["end_date"]) - datetime.fromisoformat(task["start_date"])).total_seconds()


def last_words(airflow: Airflow, dag: str, run_id: str, task: dict[str, Any]) -> str:
    """The line of the task's log that most likely says why: the last one that names an error."""
    log = airflow.log(run_id, task["task_id"], task["try_number"], dag)
    lines = [line.strip() for line in log if line.strip()]
    telling = [line for line in lines if "Error" in line or "Exception" in line or "error" in line]
    return (telling or lines or ["its log is empty"])[-1][:600]


def log_folder(logs: Path, run_id: str, dag: str) -> Path:
    return logs / f"dag_id={dag}" / f"run_id={run_id}"


def what_failed(airflow: Airflow, dag: str, run_id: str, tasks: dict[str, Any], logs: Path | None) -> str:
    failed = [task for task in tasks.values() if task["state"] == "failed"]
    if not failed:
        return f"The run {run_id} of {dag} failed without a failed task: {airflow.run_url(run_id, dag)}"
    task = min(failed, key=lambda t: t["end_date"] or "")
    place = f"task_id={task['task_id']}/attempt={task['try_number']}.log"
    where = f"Its log: {log_folder(logs, run_id, dag) / place}\n" if logs else ""
    return (
        f"The task {task['task_id']} of {dag} failed: {last_words(airflow, dag, run_id, task)}\n"
        f"{where}The run: {airflow.run_url(run_id, dag)}\n"
        f"{NOT_DONE.get(dag, 'Nothing was moved.')} After mending it {AGAIN.get(dag, f'`make {dag}`')} tries again."
    )


@dataclass
class Watch:
    """Follows the runs of a DAG that are not in `before` until one has done what is wanted: `found` is its id then.

    `logs` is the folder of Airflow's logs, if they are on this machine.
    """

    airflow: Airflow
    dag: str
    before: set[str]
    is_enough: Callable[[dict[str, Any], dict[str, Any]], bool]
    logs: Path | None = None
    seen: set[tuple[str, ...]] = field(default_factory=set)
    found: str | None = None

    def look(self) -> bool:
        """Says what is new; True if a run has done it.

        Raises:
            StackError: a run failed; with the failed task, its last words and its log.
        """
        for run in reversed(self.airflow.runs(self.dag)):
            run_id = run["dag_run_id"]
            if run_id in self.before:
                continue
            tasks = self.airflow.tasks(run_id, self.dag)
            self.tell(run_id, tasks)
            if run["state"] == "failed":
                raise StackError(what_failed(self.airflow, self.dag, run_id, tasks, self.logs))
            if self.is_enough(run, tasks):
                self.found = run_id
                return True
            if run["state"] == "success":
                self.before.add(run_id)
        return False

    def tell(self, run_id: str, tasks: dict[str, Any]) -> None:
        """Says which tasks have begun or ended since the last look."""
        if (run_id,) not in self.seen:
            self.seen.add((run_id,))
            where = (
                f"logs: {log_folder(self.logs, run_id, self.dag)}"
                if self.logs
                else self.airflow.run_url(run_id, self.dag)
            )
            say(f"  run {run_id} of {self.dag}; {where}")
        for task_id, task in tasks.items():
            status = task["state"]
            event = (run_id, task_id, status, str(task["try_number"]))
            if status not in SHOWN or event in self.seen:
                continue
            self.seen.add(event)
            if status == "deferred":
                say(f"  {task_id} {SHOWN[status]}: {self.airflow.answer_url(run_id, task_id)}")
                continue
            seconds = "" if status == "running" else f" {seconds_of(task):.0f} s"
            say(f"  {task_id} {SHOWN[status]}{seconds}")

    def wait(self) -> str:
        """Waits for such a run; returns its id.

        Raises:
            StackError: a run failed, or none has done it in time.
        """
        wait_until(self.look, TIMEOUT, 2)
        if not self.found:
            raise StackError(
                f"No run of {self.dag} ended within {TIMEOUT} s. Look at {self.airflow.url}/dags/{self.dag}."
            )
        return self.found
