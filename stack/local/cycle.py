"""One retraining cycle of the demo: data arrive, Airflow notices, its scheduler runs `retrain`, we watch."""

import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from stack.common.console import say
from stack.common.errors import StackError
from stack.common.waiting import wait_until
from stack.local import arrivals, deploy, supervisor
from stack.local.airflow_api import DAG, Airflow
from stack.local.memory import Peak
from stack.local.state import State

SHOWN = {"running": "…", "success": "[green]done[/]", "failed": "[red]failed[/]", "up_for_retry": "failed, will retry"}
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


def log_folder(state: State, run_id: str) -> Path:
    return state.folder / "airflow" / "logs" / f"dag_id={DAG}" / f"run_id={run_id}"


def seconds_of(task: dict[str, Any]) -> float:
    """How long a task ran. Airflow's own `duration` is wrong on SQLite (3.1.8 counts seconds of the minute twice)."""
    if not (task["start_date"] and task["end_date"]):
        return 0.0
    return (datetime.fromisoformat(task["end_date"]) - datetime.fromisoformat(task["start_date"])).total_seconds()


def tell(state: State, run_id: str, tasks: dict[str, Any], seen: set[tuple[str, ...]]) -> None:
    """Says which tasks have begun or ended since the last look."""
    if (run_id,) not in seen:
        seen.add((run_id,))
        say(f"  run {run_id}; logs: {log_folder(state, run_id)}")
    for task_id, task in tasks.items():
        status = task["state"]
        event = (run_id, task_id, status, str(task["try_number"]))
        if status not in SHOWN or event in seen:
            continue
        seen.add(event)
        seconds = "" if status == "running" else f" {seconds_of(task):.0f} s"
        say(f"  {task_id} {SHOWN[status]}{seconds}")


def last_words(airflow: Airflow, run_id: str, task: dict[str, Any]) -> str:
    """The line of the task's log that most likely says why: the last one that names an error."""
    lines = [line.strip() for line in airflow.log(run_id, task["task_id"], task["try_number"]) if line.strip()]
    telling = [line for line in lines if "Error" in line or "Exception" in line or "error" in line]
    return (telling or lines or ["its log is empty"])[-1][:600]


def what_failed(state: State, airflow: Airflow, run_id: str, tasks: dict[str, Any]) -> str:
    failed = [task for task in tasks.values() if task["state"] == "failed"]
    if not failed:
        return f"The run {run_id} failed without a failed task: {airflow.run_url(run_id)}"
    task = min(failed, key=lambda t: t["end_date"] or "")
    log = log_folder(state, run_id) / f"task_id={task['task_id']}" / f"attempt={task['try_number']}.log"
    return (
        f"The task {task['task_id']} failed: {last_words(airflow, run_id, task)}\n"
        f"Its log: {log}\nThe run: {airflow.run_url(run_id)}\n"
        "Nothing was promoted. After mending it `make demo` tries again."
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
    """Follows the runs that are not in `before` until one has retrained, whose id is then `retrained`."""

    state: State
    airflow: Airflow
    before: set[str]
    seen: set[tuple[str, ...]] = field(default_factory=set)
    retrained: str | None = None

    def look(self) -> bool:
        """Says what is new; True if a run has retrained.

        Raises:
            StackError: a run failed; with the failed task, its last words and its log.
        """
        for run in reversed(self.airflow.runs()):
            run_id = run["dag_run_id"]
            if run_id in self.before:
                continue
            tasks = self.airflow.tasks(run_id)
            tell(self.state, run_id, tasks, self.seen)
            if run["state"] == "failed":
                raise StackError(what_failed(self.state, self.airflow, run_id, tasks))
            if has_retrained(run, tasks):
                self.retrained = run_id
                return True
            if run["state"] == "success":
                self.before.add(run_id)
        return False


def watch(state: State, airflow: Airflow, before: set[str]) -> str:
    """Waits for a run that is not in `before` and has retrained; returns its id.

    Raises:
        StackError: a run failed, or none has retrained in time.
    """
    watched = Watch(state, airflow, before)
    wait_until(watched.look, CYCLE_TIMEOUT, 2)
    if not watched.retrained:
        raise StackError(f"No retraining ended within {CYCLE_TIMEOUT} s. Look at {airflow.url}/dags/{DAG}.")
    return watched.retrained


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
            run_id = watch(state, airflow, before)
    progress.cycles += 1
    progress.save(state)
    result = {
        "run_id": run_id,
        "run_url": airflow.run_url(run_id),
        "report_url": airflow.xcom(run_id, "report"),
        "decision": airflow.xcom(run_id, "decide"),
        "seconds": time.monotonic() - begun,
        "peak_bytes": peak.bytes,
    }
    state.save("last_cycle", result)
