"""What Managed Airflow refuses."""

from collections.abc import Collection

from local_cloud.core.errors import ApiError, invalid, precondition


def not_a_version(value: str) -> ApiError:
    return invalid(f"config.airflow_version: {value!r} is no version; its form is MAJOR.MINOR, such as 3.1")


def closed_version(value: str, why: str) -> ApiError:
    return invalid(f"config.airflow_version: no new cluster with Airflow {value}: {why}")


def preset(part: str, value: str, known: Collection[str]) -> ApiError:
    return invalid(f"config.{part}.resources.resource_preset_id: {value!r} is not offered; offered are {list(known)}")


def no_dag_processor(version: str) -> ApiError:
    return invalid(f"config.dag_processor: is required from Airflow 3.0 on, and the version is {version}")


def workers(low: int, high: int) -> ApiError:
    return invalid(f"config.worker: min_count {low} and max_count {high}; 1 <= min_count <= max_count is expected")


def no_airflow_of(version: str, offered: str) -> ApiError:
    return precondition(f"config.airflow_version: this host runs Airflow {offered}, not {version}")


def one_airflow() -> ApiError:
    return precondition("This host runs one Airflow, and there is one")
