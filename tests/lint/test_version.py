"""One version for all: pyproject.toml's. What travels alone repeats it, and the changelog begins with it."""

import re
import tomllib

import fraud_retraining
from stack.common.envs import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_spark_application_has_it() -> None:
    """It is copied to a cluster without pyproject.toml, and MLflow keeps its version with each model."""
    assert fraud_retraining.__version__ == VERSION


def test_the_changelog_begins_with_it() -> None:
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert next(version for version in versions if version != "Unreleased") == VERSION


def test_nothing_else_names_one() -> None:
    """A third place would be forgotten at the next release: it is to read one of these."""
    ours = [*ROOT.glob("*/__init__.py"), *ROOT.glob("spark_app/*/__init__.py"), *ROOT.glob("roles/*/meta/main.yml")]
    assert len(ours) > 10
    found = [file for file in ours if re.search(r"^\s*(__)?version(__)?\s*[:=]", file.read_text(), re.M)]
    assert found == [ROOT / "spark_app/fraud_retraining/__init__.py"]
