"""Our clusters in the cloud: found by name and label, adopted, deleted, and judged overdue.

A cluster is ours when its label `owner` says so and its bucket is ours: each deployment has one, and two of them may
live in one folder. `dag` and `run` name the run, `expires` the time after which nobody needs it, and the description
is the Airflow run's id. Nothing else is ever touched.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from dags.retraining.patience import Patience

OWNER, OWNER_LABEL, EXPIRES_LABEL, DAG_LABEL = "fraud-retraining", "owner", "expires", "dag"
LABEL_TIME = "%Y%m%dt%H%M%Sz"  # labels may hold only a-z, 0-9, - and _
TIMEOUT = 1800  # seconds to wait for a cluster that is being created, or that may not be deleted yet
POLL = 5
# A cluster that was made a second ago may be "not found"; only one that stays so is gone.
NEW = Patience(10, fresh=True)


def labels(run: str, dag: str) -> dict[str, str]:
    return {OWNER_LABEL: OWNER, "run": run, DAG_LABEL: dag}


def expiry(hours: float) -> dict[str, str]:
    """The label of a cluster that is made now and has so many hours to live."""
    return {EXPIRES_LABEL: (datetime.now(UTC) + timedelta(hours=hours)).strftime(LABEL_TIME)}


def _service(sdk: Any, patience: Patience | None = None) -> Any:
    from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

    return sdk.client(ClusterServiceStub, **({"interceptor": patience.interceptor()} if patience else {}))


def everything(sdk: Any, folder_id: str) -> Iterator[Any]:
    """All clusters of the folder, whosever they are."""
    from yandex.cloud.dataproc.v1.cluster_service_pb2 import ListClustersRequest

    token = ""
    while True:
        page = _service(sdk).List(ListClustersRequest(folder_id=folder_id, page_size=100, page_token=token))
        yield from page.clusters
        token = page.next_page_token
        if not token:
            return


def is_ours(cluster: Any, bucket: str) -> bool:
    """`bucket`: where our clusters log."""
    return cluster.labels.get(OWNER_LABEL) == OWNER and cluster.bucket == bucket


def named(sdk: Any, folder_id: str, name: str, bucket: str) -> Any | None:
    """Our cluster of that name, which logs to `bucket`, or None.

    Raises:
        RuntimeError: the name is taken by a cluster that is not ours.
    """
    for cluster in everything(sdk, folder_id):
        if cluster.name == name:
            if not is_ours(cluster, bucket):
                raise RuntimeError(
                    f"The cluster {name} ({cluster.id}) has no label {OWNER_LABEL}={OWNER} and bucket {bucket} (it has "
                    f"{cluster.bucket}): not ours, so it is left alone. Trigger the run anew: that takes another name."
                )
            return cluster
    return None


def get(sdk: Any, cluster_id: str) -> Any | None:
    """The cluster; None if there is no such one (any more)."""
    import grpc
    from yandex.cloud.dataproc.v1.cluster_service_pb2 import GetClusterRequest

    try:
        return NEW.call(_service(sdk, Patience()).Get, GetClusterRequest(cluster_id=cluster_id))
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            return None
        raise


def status(sdk: Any, cluster_id: str) -> str:
    """The cluster's status, e.g. RUNNING; GONE if there is no such cluster (any more)."""
    from yandex.cloud.dataproc.v1.cluster_pb2 import Cluster

    found = get(sdk, cluster_id)
    return Cluster.Status.Name(found.status) if found else "GONE"


def compute_hosts(sdk: Any, cluster_id: str) -> tuple[int, bool]:
    """(the largest number of compute hosts that a cluster may have, whether it may have had fewer)."""
    from yandex.cloud.dataproc.v1.subcluster_pb2 import Role
    from yandex.cloud.dataproc.v1.subcluster_service_pb2 import ListSubclustersRequest
    from yandex.cloud.dataproc.v1.subcluster_service_pb2_grpc import SubclusterServiceStub

    page = sdk.client(SubclusterServiceStub).List(ListSubclustersRequest(cluster_id=cluster_id, page_size=100))
    parts = [each for each in page.subclusters if each.role != Role.MASTERNODE]
    most = sum(max(each.hosts_count, each.autoscaling_config.max_hosts_count) for each in parts)
    return most, most > sum(each.hosts_count for each in parts)


def adopt(sdk: Any, cluster_id: str, timeout: float = TIMEOUT) -> str:
    """Waits until a cluster that an earlier attempt has made is running; returns its id.

    Raises:
        RuntimeError: it failed, or did not run in time.
    """
    deadline = time.monotonic() + timeout
    while (now := status(sdk, cluster_id)) != "RUNNING":
        if now in ("ERROR", "GONE", "STOPPED", "STOPPING") or time.monotonic() > deadline:
            raise RuntimeError(f"The cluster {cluster_id} is {now}, RUNNING was expected within {timeout:.0f} s.")
        time.sleep(POLL)
    return cluster_id


def delete(sdk: Any, cluster_id: str, timeout: float = TIMEOUT) -> None:
    """Deletes a cluster, waiting if the cloud refuses for now; a cluster that is gone is fine.

    Raises:
        TimeoutError: the cloud still refused after `timeout` seconds.
    """
    import grpc
    from yandex.cloud.dataproc.v1.cluster_service_pb2 import DeleteClusterRequest

    deadline = time.monotonic() + timeout
    while status(sdk, cluster_id) != "GONE":
        try:
            operation = _service(sdk).Delete(DeleteClusterRequest(cluster_id=cluster_id))
            sdk.wait_operation_and_get_result(operation, timeout=timeout)
            return
        except (grpc.RpcError, RuntimeError) as problem:  # OperationError of the SDK is a RuntimeError
            if time.monotonic() > deadline:
                why = problem.details() if isinstance(problem, grpc.RpcError) else problem
                raise TimeoutError(f"{cluster_id} is not deleted after {timeout:.0f} s: {why}") from None
            time.sleep(POLL)


def overdue(cluster: Any, now: datetime, run_is_active: Callable[[str, str], bool]) -> str | None:
    """Why a cluster of ours has no right to live any more, or None.

    Args:
        run_is_active: says of a DAG's and a run's id whether that run is still queued or running.
    """
    expires = cluster.labels.get(EXPIRES_LABEL, "")
    try:
        end = datetime.strptime(expires, LABEL_TIME).replace(tzinfo=UTC)
    except ValueError:
        return f"its label {EXPIRES_LABEL} is {expires!r}, a time like {now.strftime(LABEL_TIME)} was expected"
    if now >= end:
        return f"it expired at {end:%Y-%m-%d %H:%M} UTC"
    dag = cluster.labels.get(DAG_LABEL, "retrain")  # an earlier version had clusters for `retrain` alone
    if not run_is_active(dag, cluster.description):
        return f"its run {cluster.description!r} of {dag} has ended"
    return None
