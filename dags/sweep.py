"""The DAG `sweep`: every hour, no cluster of ours outlives its run."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task
from airflow.timetables.trigger import CronTriggerTimetable

from dags.retraining import settings


@task(retries=2, retry_delay=timedelta(minutes=2))
def sweep(ti: Any = None) -> list[str]:
    """Deletes our clusters that are past their expiry or whose run has ended; returns their names.

    Raises:
        RuntimeError: some could not be deleted; names them, so that a person looks.
    """
    from airflow.providers.yandex.hooks.dataproc import DataprocHook

    from dags.retraining import clusters

    def is_active(run_id: str) -> bool:
        return ti.get_dr_count(dag_id="retrain", run_ids=[run_id], states=["queued", "running"]) > 0

    sdk, folder_id = DataprocHook().sdk, settings.read()["cluster"]["folder_id"]
    deleted, failed = [], []
    for cluster in filter(clusters.is_ours, clusters.everything(sdk, folder_id)):
        reason = clusters.overdue(cluster, datetime.now(UTC), is_active)
        print(f"{cluster.name} ({cluster.id}): {f'deleting it, {reason}' if reason else 'in use'}")
        if reason:
            try:
                clusters.delete(sdk, cluster.id, patience=600)
                deleted.append(cluster.name)
            except TimeoutError as problem:
                failed.append(str(problem))
    if failed:
        raise RuntimeError("; ".join(failed))
    return deleted


with DAG(
    "sweep",
    schedule=CronTriggerTimetable("17 * * * *", timezone="UTC"),
    start_date=datetime(2018, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=50),
    default_args={"owner": "fraud-retraining", "execution_timeout": timedelta(minutes=45)},
    tags=["fraud"],
    doc_md=settings.document("sweep"),
) as dag:
    sweep()
