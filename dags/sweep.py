"""The DAG `sweep`: every hour, no cluster of ours outlives its run.

Airflow looks for DAGs only in files that name it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from dags.retraining import alerts, settings
from dags.retraining.compat import DAG, cron, task
from dags.retraining.graphs import alike


@task(retries=2, retry_delay=timedelta(minutes=2))
def sweep(ti: Any = None) -> list[str]:
    """Deletes our clusters that are past their expiry or whose run has ended; returns their names.

    Raises:
        RuntimeError: some could not be deleted; names them, so that a person looks.
    """
    from dags.retraining import clusters, compat, costs, operators

    def is_active(dag_id: str, run_id: str) -> bool:
        return compat.is_active(ti, dag_id, run_id)

    sdk, spec = operators.patient_hook().sdk, settings.read()["cluster"]
    deleted, reasons, failed = [], [], []
    for cluster in clusters.everything(sdk, spec["folder_id"]):
        if not clusters.is_ours(cluster, spec["bucket"]):
            continue
        reason = clusters.overdue(cluster, datetime.now(UTC), is_active)
        print(f"{cluster.name} ({cluster.id}): {f'deleting it, {reason}' if reason else 'in use'}")
        if reason:
            try:
                costs.delete(sdk, cluster.id, timeout=600)
                deleted.append(cluster.name)
                reasons.append(f"{cluster.name}: {reason}")
            except Exception as problem:  # the others must go whatever is wrong with this one
                failed.append(f"{cluster.name}: {problem}")
    if deleted:
        alerts.send(f"sweep deleted {len(deleted)} cluster(s) that a run had left", "\n".join(reasons))
    if failed:
        raise RuntimeError("; ".join(failed))
    return deleted


with DAG(
    "sweep",
    schedule=cron("17 * * * *"),
    dagrun_timeout=timedelta(minutes=50),
    tags=["fraud", "costs"],
    **alike("sweep", minutes=45),
) as dag:
    sweep()
