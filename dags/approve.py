"""The DAG `approve`: a person answers whether a new version may serve, where Airflow cannot ask by itself (before 3.1).

Airflow looks for DAGs only in files that name it.
"""

from datetime import timedelta
from typing import Any

from dags.retraining.compat import ASKS_PEOPLE, DAG, Param, task
from dags.retraining.graphs import QUICK, alike


@task(**QUICK)
def answer(params: dict, dag_run: Any = None) -> str:
    """Leaves the answer for the run of `retrain` that waits for it."""
    from dags.retraining import approval, compat, lake, settings

    given = approval.answer(params["answer"], compat.who(dag_run), params["why"])
    try:
        return approval.take(lake.client(), settings.read()["lake_bucket"], params["version"], given)
    except ValueError as refused:
        raise compat.AirflowFailException(str(refused)) from None


if not ASKS_PEOPLE:
    with DAG(
        "approve",
        schedule=None,
        dagrun_timeout=timedelta(hours=1),
        params={
            "version": Param(type="string", pattern="^[1-9][0-9]*$", description="version of the model that waits"),
            "answer": Param(type="string", enum=["approved", "refused"], description="whether it may serve"),
            "why": Param(type="string", minLength=3, description="the reason, for the record"),
        },
        tags=["fraud", "serving"],
        **alike("approve", minutes=10),
    ) as dag:
        answer()
