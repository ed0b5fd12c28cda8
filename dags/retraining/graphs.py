"""What every DAG has alike: one run at a time, nothing caught up, alerts, its text, and how quick tasks are tried."""

from datetime import datetime, timedelta
from typing import Any

from dags.retraining import alerts, settings

QUICK = {"execution_timeout": timedelta(minutes=10), "retries": 2, "retry_delay": timedelta(seconds=20)}


def alike(name: str, minutes: int) -> dict[str, Any]:
    """Arguments of the DAG `name`; `minutes` after which an attempt of a task is ended, if the task does not say."""
    return {
        "start_date": datetime(2018, 1, 1),
        "catchup": False,
        "max_active_runs": 1,
        "default_args": settings.task_defaults(minutes=minutes),
        "on_failure_callback": alerts.failed,
        "doc_md": settings.document(name),
    }
