"""The DAG `retrain`: new data, a new model on a cluster of its own, a fair comparison, the better one serves."""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param, TaskGroup, task
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable

from dags.retraining import settings
from dags.retraining.operators import CreateCluster, DeleteCluster, RunJob

LAKE = Asset(name="fraud-lake", uri="fraud-lake://raw")


@task(multiple_outputs=True, retries=2, retry_delay=timedelta(seconds=20))
def check(params: dict, dag_run: Any = None) -> dict:
    """Skips the run, visibly, where the lake holds nothing new; else returns the plan of the run."""
    from airflow.exceptions import AirflowSkipException
    from airflow.sdk import Connection

    from dags.retraining import lake, plan, registry

    known = settings.read()
    s3 = lake.client()
    raw = lake.names(s3, known["lake_bucket"], "raw/")
    used = [name.removesuffix(".json") for name in lake.names(s3, known["lake_bucket"], "retrained/")]
    files = lake.unused(raw, used)
    if not files and not params["force"]:
        raise AirflowSkipException(f"nothing new: all {len(raw)} raw files have been used; force=true retrains anyway")
    uri = registry.tracking_uri(Connection.get(registry.CONNECTION))
    return plan.make(known, uri, dag_run.run_id, dag_run.run_after, files, params["as_of"])


@task(retries=2, retry_delay=timedelta(seconds=20))
def decide(run: str) -> dict:
    """Reads what the comparison on the cluster found: promote, keep or reject, and why."""
    from dags.retraining import registry

    client, _ = registry.connect()
    decision = registry.read_decision(client, settings.read()["experiment"], run)
    print(f"{decision['action']}: {decision['reason']}")
    return decision


@task(retries=2, retry_delay=timedelta(seconds=20))
def promote(decision: dict) -> str:
    """Moves the alias `champion`, if that is the decision and the champion is still the one that was compared."""
    from airflow.exceptions import AirflowFailException

    from dags.retraining import registry

    client, _ = registry.connect()
    try:
        return registry.promote(client, settings.read()["model"], decision)
    except registry.StaleDecision as stale:
        raise AirflowFailException(str(stale)) from None


@task(retries=2, retry_delay=timedelta(seconds=20))
def report(run: str, files: list[str], decision: dict, promoted: str) -> str:
    """Marks the raw files as used and returns the address of the run's report in MLflow."""
    import json

    from dags.retraining import lake, registry

    client, uri = registry.connect()
    bucket = settings.read()["lake_bucket"]
    s3 = lake.client()
    for name in files:
        s3.put_object(Bucket=bucket, Key=f"retrained/{name}.json", Body=json.dumps({"run": run}).encode())
    print(f"{promoted}\n{decision['reason']}")
    return registry.report_url(uri, client, decision["mlflow_run_id"])


with DAG(
    "retrain",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(settings.schedule(), timezone="UTC", run_immediately=True), assets=[LAKE]
    ),
    start_date=datetime(2018, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args={"owner": "fraud-retraining", "execution_timeout": timedelta(hours=2)},
    params={
        "force": Param(False, type="boolean", description="retrain although nothing is new"),
        "as_of": Param(
            None, type=["null", "string"], format="date", description="the day of the retrain; default: the newest"
        ),
    },
    tags=["fraud"],
    doc_md=settings.document("retrain"),
):
    plan = check()
    with TaskGroup("cluster"):
        create = CreateCluster(task_id="create", spec=plan["cluster"], retries=1, retry_delay=timedelta(seconds=30))
        prepare = RunJob(task_id="prepare", spec=plan["prepare"], cluster_id=create.output)
        train = RunJob(task_id="train", spec=plan["train"], cluster_id=create.output)
        delete = DeleteCluster(task_id="delete", cluster_id=create.output, retries=3, retry_delay=timedelta(minutes=1))
        create >> prepare >> train >> delete
    delete.as_teardown(setups=create, on_failure_fail_dagrun=True)
    decision = decide(plan["run"])
    train >> decision
    report(plan["run"], plan["files"], decision, promote(decision))
