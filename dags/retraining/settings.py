"""What the DAGs are told: a schedule when they are parsed, the rest when a task runs.

The schedule, the pool and the stack's name stand in `settings.json` beside this file, since a DAG may look neither at
the network nor at the metadata database while it is parsed. Everything else is the Airflow variable `fraud_retraining`,
kept in Lockbox. What nobody would look at is refused: a key that is mistyped, or a value of another kind, would else be
lost.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dags.retraining import approval

VARIABLE = "fraud_retraining"
OWNER = "fraud-retraining"
FILE = "settings.json"
DEFAULTS = {
    "schedule": "0 6 * * 1",  # Mondays, 06:00 UTC
    "score_schedule": "0 5 * * *",  # every day, 05:00 UTC
    # A task whose pool does not exist is never started, and nothing makes pools on Managed Airflow but a person or the
    # REST API. `default_pool` is always there, and one run at a time with one cluster needs no narrower one.
    "pool": "default_pool",
    # First part of the names of its clusters, connections and variable: of two deployments in one folder of the cloud
    # each has its own. Who is alone needs none.
    "stack": "",
}
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")  # Airflow's own

# ------------------------------------------------------------------------------------------- what the variable holds
NUMBER = (int, float)
WORDS = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    NUMBER: "a number",
}


class OneOf(tuple[str, ...]):
    """The texts of which a value is one."""


class Properties(str):
    """A mapping of texts, whose names begin so."""


KEYS: dict[str, Any] = {
    "lake_bucket": str,
    "jobs_bucket": str,
    "release": str,
    "model": str,
    "experiment": str,
    "mlflow_secret_id": str,
    "cluster": {
        **dict.fromkeys(("folder_id", "image", "zone", "subnet_id", "bucket", "service_account_id"), str),
        **dict.fromkeys(("master_preset", "compute_preset", "disk_type", "log_group_id"), str),
        "autoscaling_service_account_id": str,
        **dict.fromkeys(("compute_count", "compute_max_count", "max_hosts", "disk_gib"), int),
        "hours": NUMBER,
        "preemptible": bool,
        "ssh_public_keys": list,
        "security_group_ids": list,
        "properties": Properties(""),
    },
    "spark": Properties("spark."),
    "ripening": {"share": NUMBER},
    "score": {"budget": int},
    "budget": dict.fromkeys(("run", "month"), NUMBER),
    "prices": {"currency": str, **dict.fromkeys(("master_hour", "compute_hour"), NUMBER)},
    "promotion": {"mode": OneOf(approval.MODES), "hours": NUMBER, "rule": OneOf(("week", "weeks"))},
    "quality": {"max_quarantine": NUMBER, "refunds": bool, "late_days": int},
    "monitor": dict.fromkeys(("max_age_days", "max_quarantine", "max_psi", "max_loss"), NUMBER),
}
REQUIRED = ("lake_bucket", "jobs_bucket", "release", "model", "experiment", "mlflow_secret_id", "cluster")


def wrong(value: Any, kind: Any, where: str) -> Iterator[str]:
    """What is wrong with a value and all within, one text each. None stands for a key that is left out."""
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            yield f"{where} is {value!r}, an object is expected"
            return
        for key, each in value.items():
            if key in kind:
                yield from wrong(each, kind[key], f"{where}.{key}")
            else:
                yield f"{where} has {key}, and its keys are {', '.join(kind)}"
    elif isinstance(kind, Properties):
        names = value.items() if isinstance(value, dict) else [("", value)]
        for name, each in names:
            if not name.startswith(kind) or not name or not isinstance(each, str):
                yield f'{where} has {name!r}: {each!r}, and its entries are like "{kind or "component:"}name": "text"'
    elif isinstance(kind, OneOf):
        if value is not None and value not in kind:
            yield f"{where} is {value!r}, {' or '.join(kind)} is expected"
    elif value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        yield f"{where} is {value!r}, {WORDS[kind]} is expected"


def read() -> dict[str, Any]:
    """The variable's value, and `stack`.

    Raises:
        ValueError: a key is missing, unknown, or holds what it cannot; names it and what is expected.
    """
    from dags.retraining import compat

    name = named(VARIABLE)
    value = compat.variable(VARIABLE)
    mend = "Deploy again (`make bootstrap`, or `make demo` on one machine): that writes the variable."
    if not isinstance(value, dict):
        raise ValueError(f"The Airflow variable {name} is {value!r}, an object is expected. {mend}")
    if missing := [key for key in REQUIRED if key not in value]:
        raise ValueError(
            f"The Airflow variable {name} lacks {', '.join(missing)}; it has {', '.join(sorted(value))}. {mend}"
        )
    if found := list(wrong(value, KEYS, name)):
        raise ValueError(
            f"The Airflow variable {name} is not understood: {'; '.join(found)}. Mend it where it was said (by hand: "
            f"the secret airflow/variables/{name} in Lockbox). {mend}"
        )
    return value | {"stack": deployed()["stack"]}


# ------------------------------------------------------------------------------------------------ while a DAG is parsed
def deployed() -> dict[str, str]:
    """What was deployed beside the DAGs: `schedule`, the cron expression of `retrain` in UTC, `pool` and `stack`.

    Raises:
        ValueError: the file has a key that nobody reads, or the schedule is none.
    """
    path = Path(__file__).with_name(FILE)
    found = json.loads(path.read_text()) if path.exists() else {}
    if problems := list(wrong(found, dict.fromkeys(DEFAULTS, str), FILE)):
        raise ValueError(f"{path}: {'; '.join(problems)}. Deploy again: `make bootstrap`, or `make demo`.")
    told = DEFAULTS | found
    for name in ("schedule", "score_schedule"):
        require_cron(told[name], f"{FILE}.{name}")
    return told


def named(name: str) -> str:
    """The name of one of our connections, or of the variable, in this deployment."""
    stack = deployed()["stack"]
    return f"{stack}-{name}" if stack else name


def require_cron(expression: str, where: str = "SCHEDULE") -> str:
    """The expression itself.

    Raises:
        ValueError: it is no cron expression, or names a moment that never comes.
    """
    from croniter import CroniterError, croniter

    if expression in PRESETS:
        return expression
    try:
        if len(expression.split()) != 5:
            raise ValueError(f"it has {len(expression.split())} fields")
        croniter(expression, datetime(2018, 1, 1, tzinfo=UTC)).get_next()
    except (ValueError, CroniterError) as problem:
        raise ValueError(
            f"{where} is {expression!r}, which is no cron expression ({problem}): minute, hour, day of the month, "
            f"month and day of the week are expected, such as SCHEDULE='{DEFAULTS['schedule']}' for Mondays at 6, UTC, "
            f"or one of {', '.join(PRESETS)}."
        ) from None
    return expression


def task_defaults(minutes: int) -> dict[str, Any]:
    """Default arguments of every task: its owner, its pool, the minutes after which an attempt is ended; what a person
    asks for that does not exist is refused, and a log ends with a sentence."""
    return {
        "owner": OWNER,
        "pool": deployed()["pool"],
        "execution_timeout": timedelta(minutes=minutes),
        "pre_execute": require_known,
        "on_failure_callback": say_why,
        "on_retry_callback": say_why,
    }


def document(name: str) -> str:
    """The text that explains the DAG `name` in Airflow's UI."""
    return Path(__file__).with_name(f"{name}.md").read_text()


# ------------------------------------------------------------------------------------------------ around each task
def require_known(context: Mapping[str, Any]) -> None:
    """Fails a run whose configuration has a key that the DAG does not know: nobody would look at it."""
    from dags.retraining import compat

    known, given = list(context["dag"].params), context["dag_run"].conf or {}  # names alone: a value may be wanted
    if unknown := sorted(set(given) - set(known)):
        expected = f"its keys are {', '.join(known)}" if known else "it takes none"
        raise compat.AirflowFailException(
            f"The configuration of this run of {context['dag'].dag_id} has {', '.join(unknown)}; {expected}. Nothing "
            "was done: trigger it again, without that."
        )


def say_why(context: Mapping[str, Any]) -> None:
    """The last line of a failed task's log: one sentence about what the cloud did not do, and the way on."""
    from dags.retraining import patience

    problem = context.get("exception")
    if isinstance(problem, BaseException) and (said := patience.sentence(problem)):
        logging.getLogger("airflow.task").error("%s", said)
