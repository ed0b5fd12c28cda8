"""The world of the cases of `score` and `rollback`: a small lake, versions that can be loaded, a history."""

import json
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from dags.retraining import history
from simulator import Generator
from stack.local.airflow_api import SCORE
from tests.drill import findings
from tests.drill.stack import DrillStack
from tests.drill.world import World
from tests.support import image_python
from tests.support.running_stack import RunningStack
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
NAME, FIRST = "serving", date(2018, 4, 1)
VERSIONS = ("1", "2", "3")
SERVES, GOES_BACK_TO = "2", "1"


def register_small_models(stack: RunningStack, model: str, experiment: str, count: int) -> None:
    """Versions that can be loaded and look at one feature only, made in a second."""
    told = {
        "MLFLOW_TRACKING_URI": stack.state.url("mlflow"),
        "MLFLOW_TRACKING_USERNAME": "trainer",
        "MLFLOW_TRACKING_PASSWORD": stack.state.secrets["mlflow_trainer_password"],
    }
    image_python.run(HERE / "small_model.py", model, experiment, str(count), **told)


@dataclass
class Serving:
    """Version 2 serves; each case has a day of its own to score."""

    drill: DrillStack
    days: int = 0

    def enter(self) -> None:
        self.world = World(self.drill, NAME)
        self.world.enter()
        self.drill.airflow.unpause(SCORE)  # it runs once for the time that it was due last, and finds no champion
        first = wait_until(lambda: self.drill.airflow.runs(SCORE), "the first run of score")[-1]
        self.drill.wait_for_end(first["dag_run_id"], SCORE)
        register_small_models(self.drill, NAME, NAME, len(VERSIONS))
        self.generator = Generator(seed=7, customers=200, terminals=400, start=FIRST)

    def bring_day(self) -> None:
        """One more day of transactions, of which nobody is told."""
        with tempfile.TemporaryDirectory() as folder:
            made = self.generator.write_file(Path(folder), FIRST + timedelta(days=self.days), 1)
            self.world.deliver([made.path])
        self.days += 1

    def reset(self) -> None:
        """Nothing is barred, and version 2 serves."""
        for version in VERSIONS:
            tag = {"name": NAME, "version": version, "key": history.BARRED_TAG, "value": ""}
            self.drill.mlflow("model-versions/set-tag", tag)
        findings.give_alias(self.drill, SERVES)

    def pause(self) -> None:
        """A promotion or a rollback would start `score`."""
        self.drill.airflow.call("PATCH", f"dags/{SCORE}", json={"is_paused": True})

    def trigger(self, dag: str, **conf: Any) -> str:
        self.drill.airflow.call("PATCH", f"dags/{dag}", json={"is_paused": False})
        body = {"logical_date": None, "conf": conf}
        return str(self.drill.airflow.call("POST", f"dags/{dag}/dagRuns", json=body)["dag_run_id"])

    @property
    def book(self) -> history.Book:
        """The history, to be read."""
        return history.Book(self.drill.s3, NAME, None, NAME)

    def scores(self) -> dict[str, Any]:
        """Rows of the lake, their scores, and what has other than one (`all_scored`)."""
        with tempfile.TemporaryDirectory() as folder:
            for area in ("manifest/", "prepared/", "scores/"):
                self.copy(area, Path(folder))
            return dict(json.loads(image_python.run(HERE / "all_scored.py", folder)))

    def copy(self, prefix: str, folder: Path) -> None:
        for page in self.drill.s3.get_paginator("list_objects_v2").paginate(Bucket=NAME, Prefix=prefix):
            for item in page.get("Contents", ()):
                target = folder / item["Key"]
                if not item["Key"].endswith("/"):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self.drill.s3.download_file(NAME, item["Key"], str(target))
