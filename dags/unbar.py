"""The DAG `unbar`: a version that was rolled back may serve and compete again.

Airflow looks for DAGs only in files that name it.
"""

from datetime import datetime, timedelta
from typing import Any

from dags.retraining import alerts, settings
from dags.retraining.compat import DAG, Param, task

QUICK = {"execution_timeout": timedelta(minutes=10), "retries": 2, "retry_delay": timedelta(seconds=20)}


@task(**QUICK)
def lift(params: dict, dag_run: Any = None) -> str:
    """Records the change, takes the bar away and tells people."""
    from dags.retraining import compat, history

    book = history.open_book()
    if params["version"] not in history.bars(book.client, book.model):
        raise compat.AirflowSkipException(f"version {params['version']} of {book.model} is not barred")
    change = history.Change(history.UNBAR, params["version"], compat.who(dag_run), params["why"], expected=None)
    said = book.carry_out(change)
    alerts.send(f"version {params['version']} is barred no more", said)
    return said


with DAG(
    "unbar",
    schedule=None,
    start_date=datetime(2018, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=settings.task_defaults(minutes=10),
    on_failure_callback=alerts.failed,
    params={
        "version": Param(type="string", pattern="^[1-9][0-9]*$", description="version of the model"),
        "why": Param(type="string", minLength=3, description="the reason, for the record"),
    },
    tags=["fraud", "serving"],
    doc_md=settings.document("unbar"),
) as dag:
    lift()
