"""`make logs`: the end of a program's log, or of a task's in Airflow; without a name, what there is."""

from collections.abc import Iterable

from rich.text import Text

from stack.common.console import console, say
from stack.common.errors import StackError
from stack.running.airflow_api import DAGS, RETRAIN, Airflow
from stack.running.system import System

LINES = 200
EVERY_DAG = (*DAGS, "rollback", "unbar")


def show(system: System, of: str | None) -> None:
    """Prints the end of that log.

    Raises:
        StackError: there is none of that name; names those that there are.
    """
    system.require()
    logs = system.logs()
    if not of:
        return say(catalogue(logs))
    dag, _, task = of.partition("/")
    if of in logs:
        text = logs[of]()
    elif dag in EVERY_DAG:
        text = of_task(system.airflow(), dag, task)
    else:
        raise StackError(f"OF={of}: there is no such log. {catalogue(logs)}")
    console.print(Text("\n".join(text.splitlines()[-LINES:])))


def catalogue(logs: Iterable[str]) -> str:
    dags = f"of a DAG's newest run {', '.join(EVERY_DAG)}, or one of its tasks, as {RETRAIN}/cluster.train"
    return f"OF= takes {', '.join(logs)}; {dags}"


def of_task(airflow: Airflow, dag: str, task: str) -> str:
    """The log of a task in the DAG's newest run; without a name of the one that has failed, or else of the last one.

    Raises:
        StackError: the DAG has never run, or its newest run has no such task that has begun.
    """
    runs = airflow.runs(dag, limit=1)
    if not runs:
        raise StackError(f"{dag} has never run.")
    run_id = runs[0]["dag_run_id"]
    begun = {name: one for name, one in airflow.tasks(run_id, dag).items() if one["start_date"] and one["try_number"]}
    if task and task not in begun:
        names = ", ".join(f"{dag}/{name}" for name in begun) or "none"
        raise StackError(f"OF={dag}/{task}: of the run {run_id} these tasks have a log: {names}.")
    failed = [one for one in begun.values() if one["state"] == "failed"]
    chosen = begun.get(task) or max(failed or begun.values(), key=lambda one: one["start_date"], default=None)
    if not chosen:
        raise StackError(f"No task of the run {run_id} of {dag} has begun yet: it is {runs[0]['state']}.")
    head = f"{dag}/{chosen['task_id']} of {run_id}, attempt {chosen['try_number']}: {chosen['state']}"
    return "\n".join([head, *airflow.log(run_id, chosen["task_id"], chosen["try_number"], dag)])
