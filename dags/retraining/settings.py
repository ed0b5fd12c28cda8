"""What the DAGs are told: a schedule when they are parsed, the rest when a task runs.

The schedule stands in `settings.json` beside this file, since a DAG may look neither at the network nor at the
metadata database while it is parsed. Everything else is the Airflow variable `fraud_retraining`, kept in Lockbox.
"""

import json
from pathlib import Path
from typing import Any

VARIABLE = "fraud_retraining"
DEFAULT_SCHEDULE = "0 6 * * 1"  # Mondays, 06:00 UTC
REQUIRED = ("lake_bucket", "jobs_bucket", "release", "model", "experiment", "mlflow_secret_id", "cluster")


def schedule() -> str:
    """The cron expression of `retrain`, in UTC."""
    path = Path(__file__).with_name("settings.json")
    return json.loads(path.read_text())["schedule"] if path.exists() else DEFAULT_SCHEDULE


def document(name: str) -> str:
    """The text that explains the DAG `name` in Airflow's UI."""
    return Path(__file__).with_name(f"{name}.md").read_text()


def read() -> dict[str, Any]:
    """The variable's value.

    Raises:
        ValueError: a key is missing; names it and the keys that are there.
    """
    from airflow.sdk import Variable

    value = Variable.get(VARIABLE, deserialize_json=True)
    if missing := [key for key in REQUIRED if key not in value]:
        raise ValueError(
            f"The Airflow variable {VARIABLE} lacks {', '.join(missing)}; it has {', '.join(sorted(value))}. "
            "Deploy again (`make bootstrap`, or `make demo` on one machine): that writes the variable."
        )
    return value
