"""The DAG `score`: every day, and whenever it was decided who serves, each new transaction gets its score.

Airflow looks for DAGs only in files that name it.
"""

from datetime import timedelta
from typing import Any

from dags.retraining import alerts, settings
from dags.retraining.cluster_group import on_cluster
from dags.retraining.compat import DAG, task, when_due_or_decided
from dags.retraining.graphs import QUICK, alike


@task(multiple_outputs=True, **QUICK)
def check(dag_run: Any = None) -> dict:
    """Skips the run, visibly, if no version serves or nothing is left to be scored; else returns its plan."""
    from dags.retraining import compat, lake, plan, registry, scores

    known = settings.read()
    client, uri = registry.connect()
    serves = registry.champion(client, known["model"])
    if serves is None:
        raise compat.AirflowSkipException(
            f"no version of {known['model']} is champion yet: the first retrain makes one"
        )
    files = scores.pending(lake.client(), known["lake_bucket"])
    if not files:
        raise compat.AirflowSkipException("nothing new: every raw file is scored as it is now")
    print(f"to be scored by version {serves}: {', '.join(files)}")
    return plan.make_score(known, uri, plan.Run(dag_run.run_id, compat.moment(dag_run), files), serves)


@task(trigger_rule="none_skipped", **QUICK)
def tell(run: str, dag: Any = None, ti: Any = None, dag_run: Any = None) -> dict:
    """Tells people which cards to look at, and how the versions do in service; returns what the job did.

    A file that could not be prepared makes the job fail after all others are scored: people get these all the same.
    """
    from dags.retraining import compat, lake, scores

    bucket = settings.read()["lake_bucket"]
    report = scores.report(lake.client(), bucket, run)
    if report:
        alerts.send(*scores.message(report, bucket))
    states = compat.task_states({"dag": dag, "ti": ti, "dag_run": dag_run, "run_id": dag_run.run_id})
    if not report or states.get("cluster.score") != "success":
        raise compat.AirflowFailException("the job `score` failed: its own log says why")
    return report


with DAG(
    "score",
    schedule=when_due_or_decided(settings.deployed()["score_schedule"]),
    dagrun_timeout=timedelta(hours=3),
    tags=["fraud", "scoring"],
    **alike("score", minutes=60),
) as dag:
    plan = check()
    scored = on_cluster(plan, ["score"])
    scored >> tell(plan["run"])
