"""The DAG `rollback`: back to a version that served before, at once and on the record.

Airflow looks for DAGs only in files that name it.
"""

from datetime import datetime, timedelta
from typing import Any

from dags.retraining import alerts, settings
from dags.retraining.compat import DAG, DECIDED, Param, task

QUICK = {"execution_timeout": timedelta(minutes=10), "retries": 2, "retry_delay": timedelta(seconds=20)}


@task(multiple_outputs=True, **QUICK)
def choose(params: dict) -> dict:
    """Says to which version, and from which; it is loaded and scores a sample before anything moves."""
    from dags.retraining import compat, history, loading, registry

    book = history.open_book()
    try:
        version = params["to"] or book.way_back()
        print(loading.check(book.model, version))
    except history.Refused as refused:
        raise compat.AirflowFailException(str(refused)) from None
    return {"version": version, "expected": registry.champion(book.client, book.model)}


@task(outlets=[DECIDED], **QUICK)
def move(version: str, expected: str | None, params: dict, dag_run: Any = None) -> str:
    """Records the change, bars the version that is left, moves the alias, and tells people."""
    from dags.retraining import compat, history

    change = history.Change(history.ROLLBACK, version, compat.who(dag_run), params["why"], expected)
    try:
        said = history.open_book().carry_out(change)
    except history.Refused as refused:
        raise compat.AirflowFailException(str(refused)) from None
    alerts.send(f"rollback to version {version}", said)
    return said


with DAG(
    "rollback",
    schedule=None,
    start_date=datetime(2018, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=settings.task_defaults(minutes=10),
    on_failure_callback=alerts.failed,
    params={
        "to": Param(
            None,
            type=["null", "string"],
            pattern="^[1-9][0-9]*$",
            description="version of the model; default: the one that served before the last promotion",
        ),
        "why": Param(type="string", minLength=3, description="the reason, for the record"),
    },
    tags=["fraud", "serving"],
    doc_md=settings.document("rollback"),
) as dag:
    chosen = choose()
    move(chosen["version"], chosen["expected"])
