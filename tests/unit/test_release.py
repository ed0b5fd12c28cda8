"""What is deployed: named by its content, pinned like its lock."""

import os
from pathlib import Path

import pytest

from stack.common import envs, release


def test_a_release_is_named_by_its_content(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "__pycache__").mkdir(parents=True)
    (package / "a.py").write_text("x = 1\n")
    first = release.zip_of(package)
    os.utime(package / "a.py", (1, 1))
    (package / "__pycache__" / "a.pyc").write_bytes(b"left behind")
    assert release.zip_of(package) == first
    (package / "a.py").write_text("x = 2\n")
    assert release.zip_of(package) != first


@pytest.mark.parametrize("image", ["2.1", "2.2"])
def test_a_cluster_is_pinned_like_its_lock(image: str) -> None:
    pins = release.pip_properties(image)
    lock = (envs.LOCKS / f"spark-image-{image}.txt").read_text()
    assert pins["pip:xgboost-cpu"] == "2.1.4", "a bare version: the service puts the == before it"
    assert pins["pip:urllib3"], "what a package of ours needs is pinned, too"
    assert " ; " not in lock, "one version of each package: an image is one Python on one platform"
    assert "pip:pyspark" not in pins
    for name, version in pins.items():
        assert f"\n{name.removeprefix('pip:')}=={version} " in "\n" + lock
    assert len(pins) == lock.count("==") - lock.count("\npyspark==") - lock.count("\npy4j==")
