"""The DAG `rollback`: back to a version that served before, at once and on the record.

Airflow looks for DAGs only in files that name it.
"""

from datetime import timedelta
from typing import Any

from dags.retraining import alerts
from dags.retraining.compat import DAG, DECIDED, Param, task
from dags.retraining.graphs import QUICK, alike


@task(multiple_outputs=True, **QUICK)
def choose(params: dict) -> dict:
    """Says to which version, and from which; it is loaded and scores a sample before anything moves."""
    from dags.retraining import compat, history, loading, registry

    book = history.open_book(registry.connect()[0])
    try:
        version = params["to"] or book.way_back()
        print(loading.check(book.model, version))
    except history.Refused as refused:
        raise compat.AirflowFailException(str(refused)) from None
    return {"version": version, "expected": registry.champion(book.client, book.model)}


@task(outlets=[DECIDED], **QUICK)
def move(version: str, expected: str | None, params: dict, dag_run: Any = None) -> str:
    """Records the change, bars the version that is left, moves the alias, and tells people."""
    from dags.retraining import compat, history, registry

    change = history.Change(history.ROLLBACK, version, compat.who(dag_run), params["why"], expected)
    try:
        said = history.open_book(registry.connect()[0]).carry_out(change)
    except history.Refused as refused:
        raise compat.AirflowFailException(str(refused)) from None
    alerts.send(f"rollback to version {version}", said)
    return said


with DAG(
    "rollback",
    schedule=None,
    dagrun_timeout=timedelta(hours=1),
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
    **alike("rollback", minutes=10),
) as dag:
    chosen = choose()
    move(chosen["version"], chosen["expected"])
