"""One retraining cycle of the demo: data arrive, Airflow notices, its scheduler runs `retrain`, we watch."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from stack.common.console import say
from stack.common.errors import StackError
from stack.local import deploy, supervisor
from stack.local.airflow_api import DAG, SCORE, Airflow
from stack.local.memory import Peak
from stack.local.state import State
from stack.running import arrivals
from stack.running.watching import Watch


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


def scored(state: State, airflow: Airflow, retrained: str) -> dict[str, Any] | None:
    """Waits for the scoring that follows the retrain's decision; returns what it did, None if nothing was new.

    One that failed before we came is tried again: what was not scored stays to be scored.
    """
    decided = airflow.tasks(retrained)["promote"]["end_date"]
    runs = airflow.runs(SCORE)
    failed = {run["dag_run_id"] for run in runs if run["queued_at"] >= decided and run["state"] == "failed"}
    before = {run["dag_run_id"] for run in runs if run["queued_at"] < decided} | failed
    if failed and len(before) == len(runs):
        airflow.trigger(SCORE, {})
    run_id = Watch(airflow, SCORE, before, lambda run, _: run["state"] == "success", state.airflow_logs).wait()
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
            run_id = Watch(airflow, DAG, before, has_retrained, state.airflow_logs).wait()
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
