"""Airflow of the demo: its log-in, its DAGs as soon as they are parsed, and new data that are announced to it."""

import time

from stack.common.errors import StackError
from stack.common.waiting import wait_until
from stack.local.state import State
from stack.running import airflow_api
from stack.running.airflow_api import RETRAIN, SCORE, SWEEP, Login

DAG = RETRAIN
LAKE_ASSET = "fraud-lake"
DAGS_TIMEOUT = 300  # seconds until Airflow must have parsed the DAGs
ARRIVAL = 40  # seconds after which an import error is none of code that is still being copied


class Airflow(airflow_api.Airflow):
    """A logged-in client of the demo's Airflow."""

    def __init__(self, state: State, seconds: float = 60, attempts: int | None = None) -> None:
        login = Login(state.url("airflow"), state.secrets["airflow_password"], hint="its log is airflow-api.log")
        super().__init__(login, seconds, attempts)

    def wait_for_dags(self, seconds: float = DAGS_TIMEOUT, arrival: float = ARRIVAL) -> None:
        """Returns when the DAGs are parsed; raises StackError with an import error, or after so many seconds.

        An error counts once there was one for `arrival` seconds: while code is copied, a file may be read before what
        it imports.
        """
        whole = time.monotonic()

        def parsed() -> bool:
            nonlocal whole
            if {DAG, SCORE, SWEEP} <= {dag["dag_id"] for dag in self.call("GET", "dags")["dags"]}:
                return True
            errors = self.call("GET", "importErrors")["import_errors"]
            whole = whole if errors else time.monotonic()
            if time.monotonic() - whole > arrival:
                raise StackError(f"Airflow cannot import {errors[0]['filename']}:\n{errors[0]['stack_trace']}")
            return False

        if not wait_until(parsed, seconds, min(1, arrival)):
            raise StackError(
                f"Airflow found no `{DAG}`, `{SCORE}` or `{SWEEP}` within {seconds:.0f} s; "
                "see airflow-dag-processor.log."
            )

    def announce(self) -> None:
        """Tells Airflow that the lake has new files; the scheduler starts a run for it."""
        assets = self.call("GET", "assets", params={"name_pattern": LAKE_ASSET})["assets"]
        self.call("POST", "assets/events", json={"asset_id": assets[0]["id"]})
