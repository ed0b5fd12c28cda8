"""What Airflow cannot import while the code is still being copied is no error; what stays is."""

from typing import Any

import pytest

from stack.common.errors import StackError
from stack.local.airflow_api import DAG, SCORE, SWEEP, Airflow

BROKEN = {"filename": "retraining/alerts.py", "stack_trace": "ImportError: cannot import name 'settings'"}


class Answers(Airflow):
    """An Airflow that cannot import a file so many times, and then has all DAGs."""

    def __init__(self, broken: int) -> None:
        self.broken = broken

    def call(self, method: str, path: str, **options: Any) -> Any:
        if path == "dags":
            return {"dags": [] if self.broken else [{"dag_id": name} for name in (DAG, SCORE, SWEEP)]}
        self.broken -= 1
        return {"import_errors": [BROKEN]}


def test_an_error_of_code_that_arrives_passes() -> None:
    Answers(1).wait_for_dags(arrival=30)


def test_an_error_that_stays_is_told() -> None:
    with pytest.raises(StackError, match=r"cannot import retraining/alerts\.py:\nImportError"):
        Answers(10**9).wait_for_dags(arrival=0.02)


def test_dags_that_never_come_are_told() -> None:
    with pytest.raises(StackError, match="within 0 s"):
        Answers(10**9).wait_for_dags(seconds=0, arrival=30)
