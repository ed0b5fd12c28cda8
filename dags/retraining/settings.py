"""What the DAGs are told: a schedule when they are parsed, the rest when a task runs.

The schedule and the pool stand in `settings.json` beside this file, since a DAG may look neither at the network nor at
the metadata database while it is parsed. Everything else is the Airflow variable `fraud_retraining`, kept in Lockbox.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

VARIABLE = "fraud_retraining"
OWNER = "fraud-retraining"
DEFAULTS = {
    "schedule": "0 6 * * 1",  # Mondays, 06:00 UTC
    # A task whose pool does not exist is never started, and nothing makes pools on Managed Airflow but a person or the
    # REST API. `default_pool` is always there, and one run at a time with one cluster needs no narrower one.
    "pool": "default_pool",
}
REQUIRED = ("lake_bucket", "jobs_bucket", "release", "model", "experiment", "mlflow_secret_id", "cluster")


def deployed() -> dict[str, str]:
    """What was deployed beside the DAGs: `schedule`, the cron expression of `retrain` in UTC, and `pool`."""
    path = Path(__file__).with_name("settings.json")
    return DEFAULTS | (json.loads(path.read_text()) if path.exists() else {})


def task_defaults(minutes: int) -> dict[str, Any]:
    """Default arguments of every task: its owner, its pool, and the minutes after which an attempt is ended."""
    return {"owner": OWNER, "pool": deployed()["pool"], "execution_timeout": timedelta(minutes=minutes)}


def document(name: str) -> str:
    """The text that explains the DAG `name` in Airflow's UI."""
    return Path(__file__).with_name(f"{name}.md").read_text()


def read() -> dict[str, Any]:
    """The variable's value.

    Raises:
        ValueError: a key is missing; names it and the keys that are there.
    """
    from dags.retraining import compat

    value = compat.variable(VARIABLE)
    if missing := [key for key in REQUIRED if key not in value]:
        raise ValueError(
            f"The Airflow variable {VARIABLE} lacks {', '.join(missing)}; it has {', '.join(sorted(value))}. "
            "Deploy again (`make bootstrap`, or `make demo` on one machine): that writes the variable."
        )
    return value
