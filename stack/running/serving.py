"""What serves in a running system: its history, a rollback, and a bar that is lifted; by Airflow's own DAGs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dags.retraining import history
from stack.common.console import say
from stack.common.errors import StackError
from stack.common.release import MODEL
from stack.running.system import System
from stack.running.watching import Watch

LAST_TASK = {"rollback": "move", "unbar": "lift"}
NOTHING = {"rollback": "nothing was moved", "unbar": "this version is not barred: nothing to do"}


def show_history(system: System) -> None:
    """Every change of what serves, oldest first, and whether somebody has rewritten one."""
    system.require()
    known = history.Book(*system.lake(), None, MODEL)  # to be read: what moves the alias are the DAGs alone
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


def trigger(system: System, dag: str, conf: Mapping[str, Any], logs: Path | None = None) -> None:
    """Runs a DAG to its end and says what its last task returned.

    Raises:
        StackError: the run failed; with its last words.
    """
    system.require()
    airflow = system.airflow()
    airflow.unpause(dag)
    before = {run["dag_run_id"] for run in airflow.runs(dag)}
    run_id = airflow.trigger(dag, conf)
    Watch(airflow, dag, before, lambda run, _: run["state"] == "success", logs).wait()
    last = airflow.tasks(run_id, dag)[LAST_TASK[dag]]
    say(airflow.xcom(run_id, LAST_TASK[dag], dag=dag) if last["state"] == "success" else NOTHING[dag])
