"""`make demo`: the whole system on this machine, until WEEKS retraining cycles are done."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from stack import arrivals, card, deploy, preflight, supervisor
from stack.airflow_api import DAG, Airflow
from stack.envs import ensure
from stack.errors import StackError
from stack.java import ensure_jars, find_java
from stack.memory import Peak
from stack.services import airflow_command
from stack.state import State

console = Console(highlight=False, soft_wrap=True)
if not console.is_terminal:
    console = Console(highlight=False, soft_wrap=True, width=120)
TASK_ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}
CYCLE_PATIENCE = 3600  # seconds after which a cycle that does not end is given up


@dataclass(frozen=True)
class Options:
    """What a person may say to `make demo`."""

    state: Path
    weeks: int = 1
    port: int | None = None
    lake: str | None = None
    lake_endpoint: str = arrivals.PUBLIC_STORAGE
    image: str = "2.2"
    customers: int = 5000
    seed: int = 0
    schedule: str = "*/15 * * * *"
    force: bool = False


def say(text: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/]  {text}")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Says when a step begins and how long it took."""
    begun = time.monotonic()
    say(f"[bold]{name}[/]")
    yield
    say(f"  {name}: {time.monotonic() - begun:.0f} s")


@contextlib.contextmanager
def alone(state: State) -> Iterator[None]:
    """Keeps a second `make demo` away from the same state folder.

    Raises:
        StackError: another one is at work; with its process id.
    """
    with open(state.folder / "demo.lock", "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise StackError(
                f"Another `make demo` (process {handle.read().strip()}) is at work on {state.folder}: wait for it, "
                "end it, or use another folder: `make demo STATE=…`."
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


# ------------------------------------------------------------------------------------------------ bringing it up
def prepare_machine(options: Options) -> None:
    with step("checking this machine"):
        for check in preflight.checks(options.state, options.image, options.force).values():
            check()
    with step("Python environments and jars"):
        for name in ("mlflow", "airflow", f"spark-image-{options.image}", "spark-image-2.2"):
            ensure(name, lambda text: say(f"  {text}"))
        java = find_java()
        for name in ("object-store", f"spark-image-{options.image}"):
            ensure_jars(name, java, lambda text: say(f"  {text}"))


def bring_up(state: State, options: Options) -> None:
    """Starts what does not run yet and deploys code, settings and secrets."""
    supervisor.start_daemon(state)
    with step("starting services"):
        with airflow_database(state):
            report_started(state, ["object-store", "cloud", "mlflow", "dag-sync"])
        report_started(state, ["airflow-api", "airflow-scheduler", "airflow-dag-processor"])
    with step("deploying code, settings and secrets"):
        deploy.make_buckets(state)
        deploy.make_mlflow_users(state)
        s3 = deploy.object_store(state)
        deploy.put_secrets(state, deploy.upload_jobs(s3, "jobs"), options.image)
        dags = deploy.dag_files(options.schedule)
        deploy.upload_dags(s3, "dags", dags)
        wait_for_code(state, dags)
        Airflow(state).wait_for_dag()


def wait_for_code(state: State, files: dict[str, bytes], patience: float = 60) -> None:
    """Returns when Airflow's folder holds what was uploaded; a run must never begin with older code."""
    folder, deadline = state.folder / "airflow" / "code", time.monotonic() + patience
    while any(not (folder / key).exists() or (folder / key).read_bytes() != files[key] for key in files):
        if time.monotonic() > deadline:
            raise StackError(f"The DAGs did not reach {folder} within {patience:.0f} s; see dag-sync.log.")
        time.sleep(0.3)


@contextlib.contextmanager
def airflow_database(state: State) -> Iterator[None]:
    """Brings Airflow's database to its version while the block starts other services."""
    program = airflow_command("db", "migrate")(state)
    log = state.logs / "airflow-db.log"
    with open(log, "w") as out:
        done = subprocess.Popen(program.command, env=program.environment, stdout=out, stderr=subprocess.STDOUT)
        yield
        if done.wait():
            raise StackError(
                f"`airflow db migrate` failed; its log is {log}:\n{supervisor.tail_of_log(state, log.stem)}"
            )


def report_started(state: State, names: list[str]) -> None:
    for name, seconds in supervisor.start(state, names):
        say(f"  {name} is ready after {seconds:.0f} s; its log is {state.logs / f'{name}.log'}")


# ------------------------------------------------------------------------------------------------ a cycle
def deliver(state: State, files: arrivals.Source, progress: dict[str, Any]) -> list[str]:
    """Brings the files of the next cycle to the lake."""
    there = progress["files"]
    until = there + 1 if there else arrivals.first_batch(files)
    if files.name(until - 1) is None:
        raise StackError(
            f"{files.label} has no file after the {there} that were used. Add files to it, "
            "or begin anew with another source: `make demo-clean`, then `make demo FRAUD_LAKE=…`."
        )
    brought = arrivals.deliver(files, range(there, until), deploy.object_store(state), state.folder / "arriving")
    progress["files"] = until
    state.save("progress", progress)
    return brought


def watch(state: State, airflow: Airflow, before: set[str]) -> str:
    """Follows the runs that are not in `before` until one has retrained; returns its id.

    Raises:
        StackError: the run failed; with the failed task, its last words and its log.
    """
    seen: dict[tuple[str, str], str] = {}
    deadline = time.monotonic() + CYCLE_PATIENCE
    while time.monotonic() < deadline:
        for run in reversed(airflow.runs()):
            run_id = run["dag_run_id"]
            if run_id in before:
                continue
            tasks = airflow.tasks(run_id)
            tell(state, run_id, tasks, seen)
            if run["state"] == "failed":
                raise StackError(what_failed(state, airflow, run_id, tasks))
            if run["state"] == "success":
                before.add(run_id)
                if tasks["report"]["state"] == "success":
                    return run_id
        time.sleep(2)
    raise StackError(f"No retraining ended within {CYCLE_PATIENCE} s. Look at {airflow.url}/dags/{DAG}.")


def log_path(state: State, run_id: str, task_id: str, attempt: int) -> Path:
    folder = state.folder / "airflow" / "logs" / f"dag_id={DAG}" / f"run_id={run_id}" / f"task_id={task_id}"
    return folder / f"attempt={attempt}.log"


def tell(state: State, run_id: str, tasks: dict[str, Any], seen: dict[tuple[str, str], str]) -> None:
    """Says which tasks have begun or ended since the last look."""
    for task_id, task in tasks.items():
        status = task["state"]
        if status not in TASK_ENDED | {"running"} or seen.get((run_id, task_id)) == status:
            continue
        seen[run_id, task_id] = status
        if status == "running":
            say(f"  {task_id} … [dim]{log_path(state, run_id, task_id, task['try_number'])}[/]")
        elif status != "upstream_failed" and not (status == "skipped" and task_id != "check"):
            mark = {"success": "[green]done[/]", "failed": "[red]failed[/]"}.get(status, status)
            say(f"  {task_id} {mark} {seconds_of(task):.0f} s")


def seconds_of(task: dict[str, Any]) -> float:
    """How long a task ran. Airflow's own `duration` is wrong on SQLite (3.1.8 counts seconds of the minute twice)."""
    if not (task["start_date"] and task["end_date"]):
        return 0.0
    return (datetime.fromisoformat(task["end_date"]) - datetime.fromisoformat(task["start_date"])).total_seconds()


def what_failed(state: State, airflow: Airflow, run_id: str, tasks: dict[str, Any]) -> str:
    failed = [task for task in tasks.values() if task["state"] == "failed"]
    if not failed:
        return f"The run {run_id} failed without a failed task: {airflow.run_url(run_id)}"
    task = min(failed, key=lambda t: t["end_date"] or "")
    log = log_path(state, run_id, task["task_id"], task["try_number"])
    return (
        f"The task {task['task_id']} failed: {last_words(airflow, run_id, task)}\n"
        f"Its log: {log}\nThe run: {airflow.run_url(run_id)}\n"
        "Nothing was promoted. After mending it `make demo` tries again."
    )


def last_words(airflow: Airflow, run_id: str, task: dict[str, Any]) -> str:
    """The line of the task's log that most likely says why: the last one that names an error."""
    lines = [line.strip() for line in airflow.log(run_id, task["task_id"], task["try_number"]) if line.strip()]
    telling = [line for line in lines if "Error" in line or "Exception" in line or "error" in line]
    return (telling or lines or ["its log is empty"])[-1][:600]


def cycle(state: State, files: arrivals.Source, progress: dict[str, Any], number: int) -> None:
    """One week: data arrive, Airflow notices, the scheduler runs `retrain`."""
    airflow, begun = Airflow(state), time.monotonic()
    say(f"[bold]cycle {number}[/]")
    before = {run["dag_run_id"] for run in airflow.runs() if run["state"] in ("success", "failed")}
    if progress["cycles"] == progress["delivered"]:
        brought = deliver(state, files, progress)
        progress["delivered"] += 1
        state.save("progress", progress)
        span = brought[0] if len(brought) == 1 else f"{brought[0]} … {brought[-1]}"
        say(f"  new in the lake: {len(brought)} files, {span}")
        first = progress["cycles"] == 0
    else:
        say("  the data of an interrupted cycle are in the lake")
        first = False
    if not first:
        airflow.announce([])
    airflow.unpause()
    with Peak(supervisor.process_id(state)) as peak:
        run_id = watch(state, airflow, before)
    progress["cycles"] += 1
    state.save("progress", progress)
    result = {
        "run_id": run_id,
        "run_url": airflow.run_url(run_id),
        "report_url": airflow.xcom(run_id, "report"),
        "decision": airflow.xcom(run_id, "decide"),
        "seconds": time.monotonic() - begun,
        "peak_bytes": peak.bytes,
    }
    state.save("last_cycle", result)


# ------------------------------------------------------------------------------------------------ commands
def demo(options: Options) -> None:
    begun = time.monotonic()
    files = arrivals.source(options.lake, options.lake_endpoint, options.customers, options.seed)
    state = State(options.state)
    state.folder.mkdir(parents=True, exist_ok=True)
    with alone(state):
        progress = state.load("progress", {"source": files.label, "files": 0, "delivered": 0, "cycles": 0})
        if progress["source"] != files.label:
            raise StackError(
                f"This demo was begun with data from {progress['source']}, now {files.label} was asked. "
                "Go on with the former, or begin anew: `make demo-clean`."
            )
        prepare_machine(options)
        state.create(options.port)
        bring_up(state, options)
        if progress["cycles"] >= options.weeks:
            say(f"{progress['cycles']} cycles are done already: `make demo WEEKS={progress['cycles'] + 1}` adds one")
        for number in range(progress["cycles"] + 1, options.weeks + 1):
            cycle(state, files, progress, number)
        card.show(state, console, time.monotonic() - begun)


def stop(state: State) -> None:
    if not (state.exists and supervisor.stop(state, say)):
        say(f"nothing runs in {state.folder}")


def clean(state: State) -> None:
    stop(state)
    if state.folder.exists():
        shutil.rmtree(state.folder)
        say(f"removed {state.folder}")


def status(state: State) -> None:
    """Says what runs, and which clusters were made, how long they lived and what they would have cost."""
    if not (state.exists and supervisor.is_running(state)):
        say(f"nothing runs in {state.folder}; `make demo` starts it")
        return
    for name in supervisor.PROGRAMS:
        say(f"{name:24}{supervisor.status_of(state, name)}")
    card.show_clusters(state, console)
