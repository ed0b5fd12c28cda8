"""What clusters and jobs refuse, besides what `checks.py` finds in a request, and how they fail."""

from collections.abc import Collection

import grpc

from local_cloud.core.errors import ApiError, invalid, not_found, precondition, unimplemented
from local_cloud.core.quotas import Shortage, failure
from local_cloud.core.resources import Row


def unknown_image(version: str, offered: Collection[str]) -> ApiError:
    return invalid(f"config_spec.version_id: unknown image {version!r}; offered are {sorted(offered)}")


def not_enough_quota(short: Collection[Shortage]) -> ApiError:
    """The service's own sentence, and its code: INVALID_ARGUMENT, unlike Compute's RESOURCE_EXHAUSTED."""
    lines = "\n".join(f"{s.quota} required {s.required:.0f} but available {s.available:.0f}" for s in short)
    message = f"insufficient Compute quota for:\n{lines}\nIncrease the quota or make a smaller cluster"
    return ApiError(grpc.StatusCode.INVALID_ARGUMENT, message, (failure(short),))


def unusable_image(python: str, detail: object) -> ApiError:
    return precondition(f"the image's interpreter {python} cannot be used: {detail}")


def no_object_store() -> ApiError:
    return precondition("this endpoint has no object store: set 'object_store' in its configuration")


def cannot_start(cluster: Row, problem: str) -> ApiError:
    return precondition(f"Cluster {cluster.name!r} cannot start: {problem}")


def wrong_packages(cluster: Row, version: str, mismatches: Collection[str]) -> ApiError:
    text = "; ".join(mismatches)
    return precondition(f"Cluster {cluster.name!r}: image {version} does not fit the pip properties: {text}")


def cluster_not_running(cluster: Row, status: str) -> ApiError:
    return precondition(f"Cluster {cluster.key!r} is {status}; jobs need a RUNNING one")


def no_job_kind() -> ApiError:
    return invalid("job_spec: one of pyspark_job and spark_job must be set")


def job_kind_not_offered(kind: str) -> ApiError:
    return unimplemented(f"job_spec: {kind} is not offered by this endpoint; pyspark_job and spark_job are")


def no_files_on_light_clusters(kind: str) -> ApiError:
    return invalid(f"{kind}.file_uris: Using fileUris is forbidden on lightweight cluster")


def job_not_found(cluster: str, job: str) -> ApiError:
    return not_found(f"Job of cluster {cluster!r}", job)


def job_over(job: Row, status: str) -> ApiError:
    return precondition(f"Job {job.key!r} is {status} already")


def job_failed(job: Row, status: int, why: str) -> ApiError:
    return ApiError(grpc.StatusCode.INTERNAL, f"Job {job.key} failed with exit status {status}: {why}")


def job_not_run(program: str, error: OSError) -> ApiError:
    return ApiError(grpc.StatusCode.INTERNAL, f"{program} cannot be run: {error}")


def job_stopped(reason: str) -> ApiError:
    """The error of a job that was told to stop; `reason` is that of `Stop`."""
    if reason == "shutdown":
        return ApiError(grpc.StatusCode.UNAVAILABLE, "The endpoint was stopped while the job ran")
    return ApiError(grpc.StatusCode.CANCELLED, "The job was cancelled")


def job_left_behind() -> ApiError:
    message = "The endpoint was killed while the job ran; the job has been ended"
    return ApiError(grpc.StatusCode.UNAVAILABLE, message)


def not_a_log_token(token: str) -> ApiError:
    return invalid(f"page_token: {token!r} was not given out by ListLog")


def no_hosts(node: str) -> ApiError:
    """A fault for a host of a cluster that has none."""
    message = f"a host cannot be {node}: this endpoint's engine is local, set 'engine' to 'yarn' in its configuration"
    return ApiError(grpc.StatusCode.INTERNAL, message)


def no_yarn(version: str) -> ApiError:
    return precondition(f"the image {version} has no jars of YARN: set 'yarn' for it in this endpoint's configuration")


def too_small(cluster: Row, needed: str, memory: float) -> ApiError:
    return precondition(
        f"Cluster {cluster.name!r} does not fit on this machine: its hosts need {needed}, YARN may take "
        f"{memory / 1024:.1f} GiB. Ask for fewer or smaller hosts, or set 'yarn_memory_gib', or 'engine' to 'local'"
    )


def yarn_not_started(cluster: str, problem: object) -> ApiError:
    return ApiError(grpc.StatusCode.INTERNAL, f"Cluster {cluster!r}: {problem}")
