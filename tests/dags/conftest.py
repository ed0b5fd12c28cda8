"""Airflow for the tests: a database of its own, none of the user's settings; and one way to call three versions."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.cloud import Endpoint, ObjectStore, fake_image

HOME = tempfile.mkdtemp(prefix="airflow-")
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "PYTHONPATH": str(ROOT),
}


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The cloud API; one for all tests, since gRPC reads once in a process whose authority it trusts."""
    store = ObjectStore()
    image = fake_image(tmp_path_factory.mktemp("image"))
    running = Endpoint(tmp_path_factory.mktemp("endpoint"), store.url, {"2.2": image}).start()
    yield running
    running.stop()
    store.close()


def ours() -> dict[str, Any]:
    """The imported modules of the DAGs, by name."""
    return {name: module for name, module in sys.modules.items() if name == "dags" or name.startswith("dags.")}


def forget() -> None:
    """Lets the DAG files be imported anew."""
    for name in ours():
        del sys.modules[name]


@pytest.fixture(autouse=True)
def same_modules() -> Iterator[None]:
    """After a test that imported anew, everybody has the modules again that the tests' files have imported."""
    before = ours()
    yield
    forget()
    sys.modules.update(before)


def dag_bag(folder: Path) -> Any:
    """The DAGs of a folder and their import errors, by whichever Airflow this is."""
    try:
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(str(folder))
    except (ImportError, TypeError):
        from airflow.models.dagbag import DagBag

        return DagBag(str(folder), include_examples=False)


def serialized(dag: Any) -> dict[str, Any]:
    """What Airflow stores of a DAG."""
    try:
        from airflow.serialization.serialized_objects import DagSerialization as Serialization
    except ImportError:
        from airflow.serialization.serialized_objects import SerializedDAG as Serialization
    return Serialization.to_dict(dag)


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's metadata database, with the DAGs in it."""
    airflow = str(Path(sys.executable).with_name("airflow"))
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        done = subprocess.run([airflow, *command], capture_output=True, text=True)
        assert done.returncode == 0, f"airflow {' '.join(command)}:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
