"""What the timer `mlflow-gc` destroys, and what never: a server and files that are real, and the role's own job."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from stack.common.mlflow_role import MlflowServer
from tests.support import mlflow_server
from tests.support.mlflow_server import Server

pytestmark = pytest.mark.verify
DAY = 86_400
SETTINGS = {
    "GC_OLDER_THAN": "0s",
    "RETENTION_KEEP": "0",
    "RETENTION_DELETE": "false",
    "RETENTION_NOTICE_DAYS": "7",
    "RETENTION_HOLD_TAGS": "promoted hold barred",
}


@dataclass
class Registry:
    """What a test makes on a server; `model` is one that no other test has."""

    server: MlflowServer
    asked: Server
    model: str

    def call(self, path: str, body: Any = None, method: str = "") -> Any:
        answer = self.asked.api("admin", path, body, method)
        assert answer.status == 200, f"{path}: {answer.status} {answer.text[:300]}"
        return json.loads(answer.body or b"{}")

    def experiment(self, name: str) -> str:
        return self.call("experiments/create", {"name": f"{self.model}-{name}"})["experiment_id"]

    def run(self, experiment: str) -> str:
        """A run with one file, `model/model.bin`."""
        run = self.call("runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
        self.put(f"{experiment}/{run}/artifacts/model/model.bin", run)
        return run

    def logged_model(self, experiment: str) -> str:
        created = self.call("logged-models", {"experiment_id": experiment, "name": "model"})
        model = created["model"]["info"]["model_id"]
        self.put(f"{experiment}/models/{model}/artifacts/model.bin", model)
        return model

    def put(self, path: str, content: str) -> None:
        sent = self.asked.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", "admin", content.encode())
        assert sent.status == 200, sent.text

    def register(self, source: str, run: str | None = None, keep_run: bool = True) -> str:
        """The new version; without its run it is as MLflow before 3 has made it."""
        of = {"run_id": run} if run else {"model_id": source.rpartition("/")[2]}
        version = self.call("model-versions/create", {"name": self.model, "source": source} | of)["model_version"][
            "version"
        ]
        if not keep_run:
            with contextlib.closing(sqlite3.connect(self.server.folder / "mlflow.db")) as database, database:
                which = (self.model, version)
                database.execute("UPDATE model_versions SET run_id = NULL WHERE name = ? AND version = ?", which)
        return version

    def versions(self) -> list[int]:
        found = self.call(f"model-versions/search?filter=name%3D'{self.model}'&max_results=100")
        return sorted(int(version["version"]) for version in found.get("model_versions", []))

    def loads(self, version: str, path: str = "model.bin") -> str:
        """What its file says, as a client gets it; the status where it gets nothing."""
        query = f"name={self.model}&version={version}&path={path}"
        answer = self.asked.call("GET", f"/model-versions/get-artifact?{query}", "admin")
        return answer.text if answer.status == 200 else str(answer.status)

    def collect(self, job: str = "gc", **settings: str) -> str:
        time.sleep(0.01)  # "longer ago than 0 s" is a millisecond at least
        return replace(self.server, settings=SETTINGS | settings).run(job)

    def report(self) -> dict[str, Any]:
        return json.loads((self.server.folder / "state" / "retention.json").read_text())


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = mlflow_server.described(tmp_path_factory.mktemp("mlflow"), programs, settings=dict(SETTINGS))
    server.prepare()
    with mlflow_server.serving(server, server.folder / "log"):
        yield server


NUMBERS = count()


@pytest.fixture
def registry(server: MlflowServer) -> Registry:
    """A server whose accounts know of one model, which is new."""
    named = replace(server, model=f"model-{next(NUMBERS)}")
    named.permit()
    return Registry(named, mlflow_server.asked(named), named.model)


def test_nothing_goes_that_a_version_refers_to(registry: Registry) -> None:
    """However it refers: by its run, by a place, by `runs:/`, by `models:/`; and the rest goes, with its files."""
    experiment, doomed, empty = (registry.experiment(name) for name in ("kept", "doomed", "empty"))
    place = "mlflow-artifacts:/{}/{}/artifacts/model"
    by_run, by_place, by_uri, in_doomed = (registry.run(of) for of in (experiment, experiment, experiment, doomed))
    unregistered, unregistered_later, in_empty = (registry.run(of) for of in (experiment, experiment, empty))
    model, unregistered_model = registry.logged_model(experiment), registry.logged_model(experiment)
    versions = {
        registry.register(place.format(experiment, by_run), by_run): by_run,
        registry.register(place.format(experiment, by_place), by_place, keep_run=False): by_place,
        registry.register(f"runs:/{by_uri}/model", by_uri, keep_run=False): by_uri,
        registry.register(place.format(doomed, in_doomed), in_doomed): in_doomed,
        registry.register(f"models:/{model}"): model,
    }
    gone = registry.register(place.format(experiment, unregistered_later), unregistered_later)
    registry.call("model-versions/delete", {"name": registry.model, "version": gone}, "DELETE")
    for run in (by_run, by_place, by_uri, unregistered, unregistered_later):
        registry.call("runs/delete", {"run_id": run})
    for id in (model, unregistered_model):
        registry.call(f"logged-models/{id}", method="DELETE")
    for id in (doomed, empty):
        registry.call("experiments/delete", {"experiment_id": id})

    said = registry.collect()

    files = Path(registry.server.artifacts)
    assert {file.read_text() for file in files.glob("*/**/model.bin")} >= set(versions.values())
    # The server itself cannot follow `runs:/` without a run; a client that has the source can.
    followed = {version: held for version, held in versions.items() if held != by_uri}
    assert {version: registry.loads(version) for version in followed} == followed
    for run in (by_run, by_place, by_uri, in_doomed):
        assert f"kept: run {run} is deleted, but version {registry.model}" in said
        assert registry.call(f"runs/get?run_id={run}")["run"]["info"]["lifecycle_stage"] == "deleted"
    assert f"kept: logged model {model} is deleted, but version {registry.model} 5 refers to it" in said
    assert f"kept: experiment {doomed} ({registry.model}-doomed) is deleted, but version {registry.model} 4" in said
    for run, of in ((unregistered, experiment), (unregistered_later, experiment), (in_empty, empty)):
        assert f"changed: run {run} removed" in said
        assert registry.asked.api("admin", f"runs/get?run_id={run}").status == 404
        assert not list(files.glob(f"{of}/{run}/**/*.bin"))
    assert f"changed: logged model {unregistered_model} removed" in said
    assert not list(files.glob(f"{experiment}/models/{unregistered_model}/**/*.bin"))
    assert f"changed: experiment {empty} ({registry.model}-empty) removed" in said
    assert registry.asked.api("admin", f"experiments/get?experiment_id={empty}").status == 404


def test_what_was_deleted_lately_stays(registry: Registry) -> None:
    run = registry.run(registry.experiment("lately"))
    registry.call("runs/delete", {"run_id": run})
    assert run not in registry.collect(GC_OLDER_THAN="1d")
    registry.call("runs/restore", {"run_id": run})


def test_an_age_that_is_none_removes_nothing(registry: Registry) -> None:
    with pytest.raises(Exception, match="mlflow_gc_older_than is `a month`, expected an age such as `30d`"):
        registry.collect(GC_OLDER_THAN="a month")


def backdate(registry: Registry, days: int) -> None:
    """The report says that what it lists has been listed for so long."""
    report = registry.report()
    for entry in report["listed"]:
        entry["listed"] -= days * DAY
    (registry.server.folder / "state" / "retention.json").write_text(json.dumps(report))


def test_retention_deletes_what_it_listed_and_nobody_holds(registry: Registry) -> None:
    experiment = registry.experiment("retention")
    runs = [registry.run(experiment) for _ in range(9)]

    def register(run: str) -> str:
        return registry.register(f"mlflow-artifacts:/{experiment}/{run}/artifacts/model", run)

    for run in runs[:8]:
        register(run)
    for alias, version in (("champion", "1"), ("previous", "2"), ("of-somebody", "3")):
        registry.call("registered-models/alias", {"name": registry.model, "alias": alias, "version": version})
    for version, key, value in (("4", "hold", "until the audit"), ("5", "promoted", "run"), ("6", "hold", "false")):
        body = {"name": registry.model, "version": version, "key": key, "value": value}
        registry.call("model-versions/set-tag", body)
    everything = registry.versions()

    def listed() -> list[str]:
        return [entry["version"] for entry in registry.report()["listed"]]

    registry.collect("retention")
    assert registry.versions() == everything, "off by default"
    said = registry.collect("retention", RETENTION_KEEP="1")
    assert (listed(), registry.versions()) == (["7", "6"], everything)
    assert f"listed: version {registry.model} 7 (run {runs[6]})" in said
    backdate(registry, 30)
    said = registry.collect("retention", RETENTION_KEEP="1")
    assert (listed(), registry.versions()) == (["7", "6"], everything), "a dry run until somebody says otherwise"
    assert "deleting is off (mlflow_retention_delete)" in said
    backdate(registry, -27)  # listed for three days of the seven
    registry.collect("retention", RETENTION_KEEP="1", RETENTION_DELETE="true")
    assert (listed(), registry.versions()) == (["7", "6"], everything)
    backdate(registry, 27)
    # Meanwhile one is held, and a new one pushes another out, of which nobody has been told.
    registry.call("registered-models/alias", {"name": registry.model, "alias": "challenger", "version": "7"})
    register(runs[8])
    said = registry.collect(RETENTION_KEEP="1", RETENTION_DELETE="true")
    assert registry.versions() == [1, 2, 3, 4, 5, 7, 8, 9]
    assert listed() == ["8"]
    assert [entry["version"] for entry in registry.report()["deleted"]] == ["6"]
    assert f"changed: version {registry.model} 6 deleted" in said
    assert [registry.loads(str(version)) for version in registry.versions()] == [
        runs[version - 1] for version in registry.versions()
    ]
    assert registry.call(f"runs/get?run_id={runs[5]}"), "its run is not the registry's"
