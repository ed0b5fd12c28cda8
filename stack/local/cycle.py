"""One retraining cycle of the demo: data arrive, Airflow notices, its scheduler runs `retrain`, we watch."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from stack.common.console import say
from stack.common.errors import StackError
from stack.common.waiting import wait_until
from stack.local import arrivals, deploy, supervisor
from stack.local.airflow_api import DAG, SCORE, Airflow
from stack.local.memory import Peak
from stack.local.state import State

SHOWN = {
    "running": "…",
    "success": "[green]done[/]",
    "failed": "[red]failed[/]",
    "up_for_retry": "failed, will retry",
    "deferred": "[yellow]waits for your answer[/]",
}
NOT_DONE = {DAG: "Nothing was promoted.", SCORE: "What was not scored stays to be scored."}
AGAIN = dict.fromkeys((DAG, SCORE), "`make demo`")
CYCLE_TIMEOUT = 3600  # seconds after which a cycle that does not end is given up


@dataclass
class Progress:
    """How far the demo has come: files brought to the lake, deliveries made, cycles that ended well."""

    source: str
    files: int = 0
    delivered: int = 0
    cycles: int = 0

    @classmethod
    def of(cls, state: State, source: str) -> "Progress":
        """The progress kept in the state folder.

        Raises:
            StackError: the demo was begun with another source of data.
        """
        kept = cls(**state.load("progress", {"source": source}))
        if kept.source != source:
            raise StackError(
                f"This demo was begun with data from {kept.source}, now {source} was asked. "
                "Go on with the former, or begin anew: `make demo-clean`."
            )
        return kept

    def save(self, state: State) -> None:
        state.save("progress", asdict(self))


def deliver(state: State, files: arrivals.Source, progress: Progress) -> None:
    """Brings the files of the next cycle to the lake."""
    there = progress.files
    until = there + 1 if there else arrivals.first_batch(files)
    if files.name(until - 1) is None:
        raise StackError(
            f"{files.label} has no file after the {there} that were used. Add files to it, "
            "or begin anew with another source: `make demo-clean`, then `make demo FRAUD_LAKE=…`."
        )
    brought = arrivals.deliver(files, range(there, until), deploy.object_store(state), state.folder / "arriving")
    progress.files, progress.delivered = until, progress.delivered + 1
    progress.save(state)
    say(f"  new in the lake: {brought[0]}" + (f" … {brought[-1]}, {len(brought)} files" if len(brought) > 1 else ""))


def log_folder(state: State, run_id: str, dag: str) -> Path:
    return state.folder / "airflow" / "logs" / f"dag_id={dag}" / f"run_id={run_id}"


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


def what_failed(state: State, airflow: Airflow, dag: str, run_id: str, tasks: dict[str, Any]) -> str:
    failed = [task for task in tasks.values() if task["state"] == "failed"]
    if not failed:
        return f"The run {run_id} of {dag} failed without a failed task: {airflow.run_url(run_id, dag)}"
    task = min(failed, key=lambda t: t["end_date"] or "")
    log = log_folder(state, run_id, dag) / f"task_id={task['task_id']}" / f"attempt={task['try_number']}.log"
    return (
        f"The task {task['task_id']} of {dag} failed: {last_words(airflow, dag, run_id, task)}\n"
        f"Its log: {log}\nThe run: {airflow.run_url(run_id, dag)}\n"
        f"{NOT_DONE.get(dag, 'Nothing was moved.')} After mending it {AGAIN.get(dag, f'`make {dag}`')} tries again."
    )


def has_retrained(run: dict[str, Any], tasks: dict[str, Any]) -> bool:
    """True if the run went to its end (a run that found nothing new is a success too, with all tasks skipped)."""
    return run["state"] == "success" and tasks["report"]["state"] == "success"


def done_meanwhile(state: State, airflow: Airflow) -> str | None:
    """A run that has retrained since the last cycle, without us: the schedule went on after an interruption."""
    last = state.load("last_cycle", {}).get("run_id")
    for run in airflow.runs():
        if run["dag_run_id"] == last:
            return None
        if has_retrained(run, airflow.tasks(run["dag_run_id"])):
            return run["dag_run_id"]
    return None


@dataclass
class Watch:
    """Follows the runs of a DAG that are not in `before` until one has done what is wanted: `found` is its id then."""

    state: State
    airflow: Airflow
    dag: str
    before: set[str]
    is_enough: Callable[[dict[str, Any], dict[str, Any]], bool]
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
                raise StackError(what_failed(self.state, self.airflow, self.dag, run_id, tasks))
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
            say(f"  run {run_id} of {self.dag}; logs: {log_folder(self.state, run_id, self.dag)}")
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
        wait_until(self.look, CYCLE_TIMEOUT, 2)
        if not self.found:
            raise StackError(
                f"No run of {self.dag} ended within {CYCLE_TIMEOUT} s. Look at {self.airflow.url}/dags/{self.dag}."
            )
        return self.found


def scored(state: State, airflow: Airflow, retrained: str) -> dict[str, Any] | None:
    """Waits for the scoring that follows the retrain's decision; returns what it did, None if nothing was new."""
    decided = airflow.tasks(retrained)["promote"]["end_date"]
    before = {run["dag_run_id"] for run in airflow.runs(SCORE) if run["queued_at"] < decided}
    run_id = Watch(state, airflow, SCORE, before, lambda run, _: run["state"] == "success").wait()
    if airflow.tasks(run_id, SCORE)["tell"]["state"] != "success":
        return None
    return airflow.xcom(run_id, "tell", dag=SCORE)


def run(state: State, files: arrivals.Source, progress: Progress) -> None:
    """Delivers a week and follows its retraining; what came of it is kept as `last_cycle` for the card."""
    airflow, begun = Airflow(state), time.monotonic()
    say(f"[bold]cycle {progress.cycles + 1}[/]")
    before = {run["dag_run_id"] for run in airflow.runs() if run["state"] in ("success", "failed")}
    first, interrupted = progress.delivered == 0, progress.delivered > progress.cycles
    run_id = done_meanwhile(state, airflow) if interrupted else None
    if interrupted:
        say("  the data of an interrupted cycle are in the lake already")
    else:
        deliver(state, files, progress)
    with Peak(supervisor.process_id(state)) as peak:
        if not run_id:
            if not first:  # the very first run is the schedule's own: Airflow makes it when the DAG is unpaused
                airflow.announce()
            airflow.unpause()
            run_id = Watch(state, airflow, DAG, before, has_retrained).wait()
        found = scored(state, airflow, run_id)
    progress.cycles += 1
    progress.save(state)
    result = {
        "run_id": run_id,
        "run_url": airflow.run_url(run_id),
        "report_url": airflow.xcom(run_id, "report"),
        "decision": airflow.xcom(run_id, "decide"),
        "answer": airflow.answer(run_id),
        "scored": found,
        "seconds": time.monotonic() - begun,
        "peak_bytes": peak.bytes,
    }
    state.save("last_cycle", result)
