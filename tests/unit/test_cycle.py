"""A cycle of the demo: what it waits for in Airflow."""

from types import SimpleNamespace
from typing import Any

import pytest

from stack.common.errors import StackError
from stack.local import cycle

DECIDED = "2026-01-01T00:10:00+00:00"


class Airflow:
    """An Airflow whose scoring goes as `runs` says, newest first; a triggered run succeeds."""

    url = "http://airflow.test"

    def __init__(self, *runs: tuple[str, str, str]) -> None:
        self.scorings = [{"dag_run_id": name, "queued_at": at, "state": state} for name, at, state in runs]
        self.triggered = 0

    def runs(self, dag: str) -> list[dict[str, Any]]:
        return list(self.scorings)

    def tasks(self, run_id: str, dag: str = "") -> dict[str, dict[str, Any]]:
        told = {"state": "success", "try_number": 1, "start_date": DECIDED, "end_date": DECIDED}
        state = next((run["state"] for run in self.scorings if run["dag_run_id"] == run_id), "success")
        return {name: told | {"task_id": name, "state": state} for name in ("promote", "tell")}

    def trigger(self, dag: str, conf: dict[str, Any]) -> None:
        self.triggered += 1
        self.scorings.insert(0, {"dag_run_id": "again", "queued_at": "2026-01-01T00:30:00+00:00", "state": "success"})

    def xcom(self, run_id: str, task_id: str, dag: str = "") -> str:
        return f"{task_id} of {run_id}"

    def log(self, *_: Any) -> list[str]:
        return ["an Error"]

    def run_url(self, *_: Any) -> str:
        return self.url


EARLIER = ("earlier", "2026-01-01T00:05:00+00:00", "success")
AFTER = "2026-01-01T00:11:00+00:00"
STATE: Any = SimpleNamespace(airflow_logs=None)


@pytest.mark.parametrize(
    ("scorings", "found", "triggered"),
    [
        ([("new", AFTER, "success"), EARLIER], "new", 0),
        ([("red", AFTER, "failed"), EARLIER], "again", 1),
        ([("mended", AFTER, "success"), ("red", AFTER, "failed"), EARLIER], "mended", 0),
    ],
)
def test_a_scoring_that_failed_before_is_tried_again(
    scorings: list[tuple[str, str, str]], found: str, triggered: int
) -> None:
    airflow: Any = Airflow(*scorings)
    assert cycle.scored(STATE, airflow, "a retrain") == f"tell of {found}"
    assert airflow.triggered == triggered


def test_a_scoring_that_fails_before_our_eyes_is_told() -> None:
    class Failing(Airflow):
        def trigger(self, dag: str, conf: dict[str, Any]) -> None:
            self.scorings.insert(0, {"dag_run_id": "again", "queued_at": AFTER, "state": "failed"})

    airflow: Any = Failing(("red", AFTER, "failed"), EARLIER)
    with pytest.raises(StackError, match=r"(?s)of score failed: an Error.*What was not scored stays to be scored"):
        cycle.scored(STATE, airflow, "a retrain")
