"""Airflow for the tests: a metadata database, the DAGs of a folder, and one way to call three versions."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.cloud import BUCKET, DATAPROC, FOLDER, SUBNET

DAGS = ROOT / "dags"
CLUSTER = {
    "folder_id": FOLDER,
    "image": "2.2",
    "zone": "ru-central1-a",
    "subnet_id": SUBNET,
    "bucket": BUCKET,
    "service_account_id": DATAPROC,
    "master_preset": "s3-c2-m8",
    "compute_preset": "s3-c2-m8",
    "compute_count": 1,
    "disk_gib": 20,
    "hours": 6,
    "properties": {},
}
# Both in one process: Airflow's imports take longer than its work.
MIGRATE = """
import sys
from airflow.__main__ import main
for command in ("db migrate", "dags reserialize"):
    sys.argv = ["airflow", *command.split()]
    main()
"""


def settings(home: Path) -> dict[str, str]:
    """The environment of an Airflow with a database of its own and none of the user's settings."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": str(ROOT),
    }


def make_database(home: Path) -> None:
    """A migrated metadata database with the DAGs in it.

    It is kept in the environment of this Airflow, which is made anew when its lock changes, for these very DAGs.
    """
    content = b"".join(file.read_bytes() for file in sorted(DAGS.rglob("*")) if file.suffix in (".py", ".md", ".json"))
    kept = Path(sys.prefix, f"airflow-{hashlib.sha256(content + str(DAGS).encode()).hexdigest()[:12]}.db")
    if not kept.exists():
        done = subprocess.run([sys.executable, "-c", MIGRATE], capture_output=True, text=True)
        assert done.returncode == 0, (
            f"airflow db migrate, dags reserialize:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        )
        for old in kept.parent.glob("airflow-*.db"):
            old.unlink()
        draft = kept.with_suffix(f".{os.getpid()}")
        shutil.copy(home / "airflow.db", draft)
        draft.replace(kept)
    shutil.copy(kept, home / "airflow.db")


def ours() -> dict[str, Any]:
    """The imported modules of the DAGs, by name."""
    return {name: module for name, module in sys.modules.items() if name == "dags" or name.startswith("dags.")}


def forget() -> None:
    """Lets the DAG files be imported anew."""
    for name in ours():
        del sys.modules[name]


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
