"""What serves in the running stack: its history, a rollback, and a bar that is lifted; by Airflow's own DAGs."""

from typing import Any

from dags.retraining import history
from stack.common.console import say
from stack.common.errors import StackError
from stack.common.release import MODEL
from stack.local import cycle, deploy, supervisor
from stack.local.airflow_api import Airflow
from stack.local.state import State


def book(state: State) -> history.Book:
    """The history in the lake, to be read: what moves the alias are the DAGs alone."""
    require_running(state)
    return history.Book(deploy.object_store(state), "lake", None, MODEL)


def require_running(state: State) -> None:
    if not (state.exists and supervisor.is_running(state)):
        raise StackError(f"Nothing runs in {state.folder}: `make demo` starts it.")


def show_history(state: State) -> None:
    """Every change of what serves, oldest first, and whether somebody has rewritten one."""
    known = book(state)
    records = known.records()
    for record in records:
        say(f"{record.number:4}  {history.in_words(record)}")
        if record.told["link"]:
            say(f"      {record.told['link']}")
    if not records:
        say("nothing has served yet")
    if broken := known.broken():
        raise StackError(
            f"The records {', '.join(map(str, broken))} do not follow from those before them: somebody has rewritten "
            "or removed one by other means than ours. The lake's access log says who."
        )


def trigger(state: State, dag: str, conf: dict[str, Any]) -> None:
    """Runs a DAG to its end and says what its last task returned.

    Raises:
        StackError: the run failed; with its last words.
    """
    require_running(state)
    airflow = Airflow(state)
    airflow.call("PATCH", f"dags/{dag}", json={"is_paused": False})
    before = {run["dag_run_id"] for run in airflow.runs(dag)}
    body = {"conf": conf, "logical_date": None}
    run_id = airflow.call("POST", f"dags/{dag}/dagRuns", json=body)["dag_run_id"]
    cycle.Watch(state, airflow, dag, before, lambda run, _: run["state"] == "success").wait()
    last = airflow.tasks(run_id, dag)[LAST_TASK[dag]]
    say(airflow.xcom(run_id, LAST_TASK[dag], dag=dag) if last["state"] == "success" else NOTHING[dag])


LAST_TASK = {"rollback": "move", "unbar": "lift"}
NOTHING = {"rollback": "nothing was moved", "unbar": "this version is not barred: nothing to do"}
