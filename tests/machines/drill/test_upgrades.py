"""An upgrade of MLflow with its schema, and one that fails: `make drill-machines`."""

import base64
import re
from pathlib import Path

from tests.support import ROOT
from tests.support.database_machine import rows
from tests.support.machines import inside, measured
from tests.support.mlflow_machine import MLFLOW, artifact, client
from tests.support.playbooks import playbook


def version() -> str:
    return inside(MLFLOW).check_output("/opt/mlflow/current/bin/python -m pip show mlflow | sed -n 's/^Version: //p'")


def test_an_upgrade_that_fails_leads_back(tmp_path: Path) -> None:
    """A release whose server does not start: what served before serves again, with all that it had."""
    lock = (ROOT / "requirements" / "mlflow.txt").read_text()
    broken = re.sub(r"(?m)^gunicorn==.*(\n {4}.*)*\n", "", lock)
    assert broken != lock
    (tmp_path / "broken.txt").write_text(broken)
    kept = client("upload", 5)
    before, release = rows(), inside(MLFLOW).check_output("readlink /opt/mlflow/current")
    done = playbook("ansible/playbooks/upgrade.yml", "-e", f"upgrade_lock={tmp_path}/broken.txt", check=False)
    assert done.returncode != 0
    assert "The old release serves again" in done.stdout
    assert inside(MLFLOW).check_output("readlink /opt/mlflow/current") == release
    assert rows() == before
    assert artifact(kept["run"]) == kept["sha256"]


EARLIER = "3.17.0"
HASHES = {  # of that release, which needs the same libraries as ours
    "mlflow": "3954eaa998d4dd4ac8772894293a285bb5e3a428f6f9b37cac298e787423eafd",
    "mlflow-skinny": "443c1e8cbf04edc71434754e0dae2846db91814b342c65bbc05b131c2a68b7ba",
    "mlflow-tracing": "8e5cb21bd53720f163098fe12a54e2cc5dff19e5b811889205ef10469248ee9e",
}
SCHEMA_BEFORE = """
import os, sqlalchemy
from alembic import command
from mlflow.store.db import utils
url = os.environ["MLFLOW_BACKEND_STORE_URI"]
config = utils._get_alembic_config(url)
with sqlalchemy.create_engine(url).begin() as connection:
    config.attributes["connection"] = connection
    command.downgrade(config, "-1")
"""


def earlier_lock(folder: Path) -> Path:
    lock = (ROOT / "requirements" / "mlflow.txt").read_text()
    for name, digest in HASHES.items():
        block = f"{name}=={EARLIER} \\\n    --hash=sha256:{digest}\n"
        lock, found = re.subn(rf"(?m)^{name}==\S+ \\\n(    --hash=\S+( \\)?\n)+", lambda _, block=block: block, lock)
        assert found == 1, name
    file = folder / "earlier.txt"
    file.write_text(lock)
    return file


def older_schema() -> None:
    """Stops MLflow and takes the last change of its schema back, with its own tools."""
    encoded = base64.b64encode(SCHEMA_BEFORE.encode()).decode()
    inside(MLFLOW).check_output(
        "systemctl stop mlflow && umask 077 && sed 's/^/*:*:*:*:/' /run/mlflow-secrets/database > /root/pgpass && "
        f"echo {encoded} | base64 -d > /root/before.py && "
        "systemd-run --wait --pipe --quiet -p EnvironmentFile=/etc/mlflow/environment -E PGPASSFILE=/root/pgpass "
        "/opt/mlflow/current/bin/python -W ignore /root/before.py && rm /root/pgpass /root/before.py"
    )


def test_upgrade_from_an_earlier_release_and_schema(tmp_path: Path) -> None:
    """A machine and a schema as an earlier release left them, with their runs, become today's."""
    now = version()
    playbook("site.yml", "--limit=mlflow", "-e", f"mlflow_lock={earlier_lock(tmp_path)}")
    assert version() == EARLIER != now
    kept = client("upload", 5)
    before = rows()
    older_schema()
    refused = playbook("site.yml", "--limit=mlflow", check=False)
    assert refused.returncode != 0
    assert "ansible-playbook ansible/playbooks/upgrade.yml" in " ".join(refused.stdout.split())
    assert version() == EARLIER
    older_schema()  # MLflow migrates by itself if a table is missing, so the release that goes on has done it
    said = playbook("ansible/playbooks/upgrade.yml").stdout
    assert "changed: schema of runs from" in said
    measured("upgrade", f"MLflow {EARLIER} -> {version()}, and the schema")
    assert version() == now
    after = rows()
    assert all(after[table] == before[table] for table in ("runs", "experiments", "metrics", "tags"))
    assert artifact(kept["run"]) == kept["sha256"]
