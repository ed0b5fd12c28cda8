"""A lake, an experiment and a model of their own on the drill's stack, for runs of the real jobs."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stack.local.programs.mlflow import mlflow_server
from tests.drill import findings
from tests.drill.stack import DrillStack


@dataclass
class World:
    """A lake, an experiment and a model of their own, on the drill's stack."""

    drill: DrillStack
    name: str
    champions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def enter(self) -> None:
        """Makes the world, and makes it the one that the next runs live in; the jobs are the real ones."""
        self.drill.s3.create_bucket(Bucket=self.name)
        replace(mlflow_server(self.drill.state), experiment=self.name, model=self.name).permit()
        self.drill.use(self.drill.real, lake_bucket=self.name, experiment=self.name, model=self.name)

    def deliver(self, files: list[Path]) -> None:
        for path in files:
            self.drill.s3.upload_file(str(path), self.name, f"raw/{path.name}")

    def keep_champion(self, run_id: str) -> None:
        """Keeps who is champion after the run: the day on which it was trained, and what the run decided."""
        assert self.drill.run(run_id)["state"] == "success", findings.summary(self.drill, run_id)
        decision = self.drill.airflow.xcom(run_id, "decide")
        found = {str(decision["challenger"]["version"]): decision["as_of"]} | {
            version: kept["as_of"] for kept in self.champions.values() for version in [kept["version"]]
        }
        version = self.drill.champion(self.name)
        assert version is not None
        self.champions[decision["as_of"]] = {
            "version": version,
            "as_of": found[version],
            "action": decision["action"],
            "average_precision": round(decision["challenger"]["metrics"]["average_precision"], 6),
        }
