"""What `site.yml` installs on the lab's machines, kept as layers: the next lab begins with it and configures it anew.

A layer holds what molecule/shared/install.yml does, and its name the hash of everything that decides what that is. All
of `site.yml` runs over it: only downloads and unpacking are saved. `make molecule` begins with bare machines.
"""

import hashlib

from local_cloud.machines import base
from tests.support import ROOT

INSTALL = ROOT / "molecule" / "shared" / "install.yml"
INPUTS = (
    "molecule/shared/install.yml",
    "molecule/stack/inventory.yml",
    "roles/*/defaults/*.yml",
    "roles/*/vars/*.yml",
    "roles/*/tasks/install.yml",
    "roles/*/tasks/packages.yml",
    "roles/backup/files/createcluster.conf",
    "roles/backup/tasks/postgresql.yml",
    "roles/baseline/templates/not-in-container.conf.j2",
    "roles/mlflow/files/mlflow.txt",
)


def digest(debian: str) -> str:
    """Of the base image and of every file that decides what is installed."""
    found = hashlib.sha256(base.ensure(debian).name.encode())
    for pattern in INPUTS:
        paths = sorted(ROOT.glob(pattern))
        assert paths, f"{pattern} matches no file: the inputs of layers (tests/support/layers.py) are out of date"
        for path in paths:
            found.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:10]


def names(debian: str) -> dict[str, str]:
    """The layer of each machine of molecule/stack."""
    made_from = digest(debian)
    return {
        "stack-db": f"database-debian-{debian}-{made_from}",
        "stack-mlflow": f"mlflow-debian-{debian}-{made_from}",
    }
