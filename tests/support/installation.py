"""What `site.yml` installs on the lab's machines, kept as layers: the next lab begins with it and configures it anew.

A layer holds what molecule/shared/install.yml does, and its name the hash of everything that decides what that is. All
of `site.yml` runs over it: only downloads and unpacking are saved. `make molecule` begins with bare machines.
"""

from local_cloud.machines import base
from tests.support import ROOT
from tests.support.kept import digest

INSTALL = ROOT / "molecule" / "shared" / "install.yml"
INPUTS = (
    "molecule/shared/install.yml",
    "molecule/stack/inventory.yml",
    "roles/*/defaults/*.yml",
    "roles/*/vars/*.yml",
    "roles/*/tasks/install.yml",
    "roles/*/tasks/packages.yml",
    "roles/backup/files/createcluster.conf",
    "roles/backup/files/pgdg-updates.conf",
    "roles/backup/tasks/postgresql.yml",
    "roles/backup/templates/pgdg.sources.j2",
    "roles/baseline/templates/not-in-container.conf.j2",
    "roles/files/library/*.py",
    "roles/mlflow/files/mlflow.txt",
)


def made_from(debian: str) -> str:
    """Hash of the base image and of every file that decides what is installed."""
    paths = [str(path.relative_to(ROOT)) for pattern in INPUTS for path in sorted(ROOT.glob(pattern))]
    return digest(ROOT, paths, base.ensure(debian).name)[:10]


def layer_names(debian: str) -> dict[str, str]:
    """The layer of each machine of molecule/stack."""
    inputs = made_from(debian)
    return {
        "stack-db": f"database-debian-{debian}-{inputs}",
        "stack-mlflow": f"mlflow-debian-{debian}-{inputs}",
    }
