"""`make demo`: the whole system on this machine, until WEEKS retraining cycles are done."""

import contextlib
import math
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Literal

from dags.retraining.settings import require_cron
from local_cloud.services.dataproc.yarn import end_left_behind
from stack.common import release
from stack.common.console import console, say, step
from stack.common.errors import StackError
from stack.common.files import exclusive
from stack.common.options import FROM_0, FROM_1, Variable
from stack.common.waiting import wait_until
from stack.local import card, cycle, deploy, preflight, supervisor
from stack.local.airflow_api import Airflow
from stack.local.installing import ensure_programs
from stack.local.options import StateOptions
from stack.local.ports import LAST_PORT
from stack.local.programs.airflow import airflow_command
from stack.local.programs.mlflow import mlflow_server
from stack.local.state import State
from stack.running import arrivals
from stack.running.arrivals import ENDPOINT, LAKE

CODE_TIMEOUT = 60  # seconds until Airflow's folder must hold what was uploaded


PORT = Variable("", f"a port from 1024 to {LAST_PORT}", "19000", lambda value: 1024 <= value <= LAST_PORT)
MONEY = Variable("", "roubles from 0 on", "50", lambda value: 0 <= value < math.inf)
SCHEDULE = Variable("", "a cron expression in UTC", "*/15 * * * *", require_cron)


@dataclass(frozen=True)
class Options(StateOptions):
    """What a person may say to `make demo`."""

    weeks: Annotated[int, "cycles to be done in all (default %(default)s)", FROM_1] = 1
    port: Annotated[int | None, "first of seven ports (default: the first free ones)", PORT] = None
    image: Annotated[Literal["2.1", "2.2"] | None, "Dataproc image to stand for (default: 2.2); it is kept"] = None
    lake: Annotated[str | None, "folder or s3:// address of data files (default: generated); it is kept", LAKE] = None
    lake_endpoint: Annotated[str | None, "storage service of an s3:// lake; it is kept", ENDPOINT] = None
    customers: Annotated[int | None, "cards to generate (default: 5000); it is kept", FROM_1] = None
    seed: Annotated[int | None, "of the generated data (default: 0); it is kept", FROM_0] = None
    schedule: Annotated[str | None, "cron expression of the DAG, UTC (default: */15 * * * *); it is kept", SCHEDULE] = (
        None
    )
    approval: Annotated[
        int | None,
        "hours in which a person approves of a promotion in Airflow (default: 0, nobody is asked); it is kept",
        FROM_0,
    ] = None
    rule: Annotated[
        Literal["week", "weeks"] | None,
        "what promotes: the gate on one week, or else the evidence of many (default: `train`'s own); it is kept",
    ] = None
    engine: Annotated[
        Literal["local", "yarn"] | None, "what runs jobs: one process, or a YARN of its own for each cluster"
    ] = None
    run_budget: Annotated[
        float | None, "of a run at list prices, above which none starts; 0: none; it is kept", MONEY
    ] = None
    month_budget: Annotated[float | None, "of all runs of a month; 0: none; it is kept", MONEY] = None
    force: Annotated[bool, "go on if memory is short"] = False


@dataclass(frozen=True)
class Choices:
    """What holds for a stack until it is said otherwise: `make demo` without it changes nothing of it."""

    image: str = "2.2"
    lake: str | None = None
    lake_endpoint: str = arrivals.PUBLIC_STORAGE
    customers: int = 5000
    seed: int = 0
    schedule: str = "*/15 * * * *"
    approval: int = 0
    rule: str | None = None
    run_budget: float = 0
    month_budget: float = 0

    @property
    def budget(self) -> dict[str, float]:
        """As the variable has it."""
        return {"run": self.run_budget, "month": self.month_budget}

    @classmethod
    def of(cls, state: State, options: Options) -> "Choices":
        """What was said now, or before."""
        said = {each.name: getattr(options, each.name) for each in fields(cls)}
        return cls(**state.load("choices", {}) | {name: value for name, value in said.items() if value is not None})


def prepare_machine(options: Options, image: str) -> None:
    with step("checking this machine"):
        engine = options.engine or State(options.state).engine
        for check in preflight.checks(options.state, image, options.force, engine).values():
            check()
    with step("Python environments and jars"):
        ensure_programs(("mlflow", "airflow"), image, yarn=engine == "yarn")


def choose_engine(state: State, engine: str | None) -> None:
    """Keeps what runs jobs; a stack that runs goes on with what it has.

    Raises:
        StackError: the stack runs with another engine.
    """
    if engine in (None, state.engine):
        return
    if supervisor.is_running(state):
        raise StackError(
            f"The stack in {state.folder} runs with ENGINE={state.engine}, not {engine}: `make demo-stop` first, then "
            f"`make demo ENGINE={engine}` goes on with the same data."
        )
    state.save("engine", engine)


def bring_up(state: State, choices: Choices) -> None:
    """Starts what does not run yet and deploys code, settings and secrets."""
    supervisor.start_daemon(state)
    with step("starting services"):
        with airflow_database(state):
            report_started(state, ["object-store", "cloud", "dag-sync"])
            mlflow_server(state).prepare()
            report_started(state, ["mlflow"])
        waits = ["airflow-triggerer"] if choices.approval else []
        report_started(state, ["airflow-api", "airflow-scheduler", "airflow-dag-processor", *waits])
    with step("deploying code, settings and secrets"):
        deploy.make_buckets(state)
        mlflow_server(state).permit()
        s3 = deploy.object_store(state)
        promotion = deploy.promotion(choices.approval, choices.rule)
        jobs = release.upload_jobs(s3, "jobs")
        deploy.put_secrets(state, jobs, choices.image, budget=choices.budget, promotion=promotion)
        dags = release.dag_files({"schedule": choices.schedule})
        release.upload_dags(s3, "dags", dags)
        wait_for_code(state, dags)
        Airflow(state).wait_for_dags()


def wait_for_code(state: State, files: dict[str, bytes], seconds: float = CODE_TIMEOUT) -> None:
    """Returns when Airflow's folder holds what was uploaded; a run must never begin with older code."""
    folder = state.folder / "airflow" / "code"

    def is_there() -> bool:
        return all((folder / key).exists() and (folder / key).read_bytes() == files[key] for key in files)

    if not wait_until(is_there, seconds, 0.3):
        raise StackError(f"The DAGs did not reach {folder} within {seconds:.0f} s; see dag-sync.log.")


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


def demo(options: Options) -> None:
    begun = time.monotonic()
    state = State(options.state)
    choices = Choices.of(state, options)
    files = arrivals.source(choices.lake, choices.lake_endpoint, choices.customers, choices.seed)
    state.folder.mkdir(parents=True, exist_ok=True)
    with exclusive(state):
        progress = cycle.Progress.of(state, files.label)
        prepare_machine(options, choices.image)
        state.create(options.port)
        choose_engine(state, options.engine)
        state.save("choices", asdict(choices))
        bring_up(state, choices)
        if progress.cycles >= options.weeks:
            say(f"{progress.cycles} cycles are done already: `make demo WEEKS={progress.cycles + 1}` adds one")
        while progress.cycles < options.weeks:
            cycle.run(state, files, progress)
        card.show(state, console, time.monotonic() - begun)


def stop(state: State) -> None:
    if not (state.exists and supervisor.stop(state, say)):
        say(f"nothing runs in {state.folder}")
    for cluster in (state.folder / "cloud" / "clusters").glob("*/yarn"):  # of a cloud that was killed
        end_left_behind(cluster)


def clean(state: State) -> None:
    """Raises StackError if the folder is no demo's: it would be somebody's files that are removed."""
    stop(state)
    if state.folder.exists():
        if not state.exists and any(state.folder.iterdir()):
            raise StackError(
                f"{state.folder} is no demo's folder (it has no ports.json): it was left as it is. Name the folder "
                "that `make demo STATE=…` has made."
            )
        shutil.rmtree(state.folder)
        say(f"removed {state.folder}")
