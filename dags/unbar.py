"""The DAG `unbar`: a version that was rolled back may serve and compete again.

Airflow looks for DAGs only in files that name it.
"""

from datetime import timedelta
from typing import Any

from dags.retraining import alerts
from dags.retraining.compat import DAG, Param, task
from dags.retraining.graphs import QUICK, alike


@task(**QUICK)
def lift(params: dict, dag_run: Any = None) -> str:
    """Records the change, takes the bar away and tells people."""
    from dags.retraining import compat, history, registry

    book = history.open_book(registry.connect()[0])
    if params["version"] not in history.bars(book.client, book.model):
        raise compat.AirflowSkipException(f"version {params['version']} of {book.model} is not barred")
    change = history.Change(history.UNBAR, params["version"], compat.who(dag_run), params["why"], expected=None)
    said = book.carry_out(change)
    alerts.send(f"version {params['version']} is barred no more", said)
    return said


with DAG(
    "unbar",
    schedule=None,
    dagrun_timeout=timedelta(hours=1),
    params={
        "version": Param(type="string", pattern="^[1-9][0-9]*$", description="version of the model"),
        "why": Param(type="string", minLength=3, description="the reason, for the record"),
    },
    tags=["fraud", "serving"],
    **alike("unbar", minutes=10),
) as dag:
    lift()
