"""A deployment on this host, which the tests of a module share."""

from collections.abc import Iterator

import pytest

from local_cloud.machines import host
from tests.bootstrap.cloud_fixture import needs
from tests.local.deployed import Deployed, listing


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    if missing := host.missing() + [each for each in [needs()] if each]:
        pytest.skip("a deployment cannot be made here: " + "; ".join(missing))
    made = Deployed(tmp_path_factory.mktemp("local") / "deployment", listing())
    yield made
    made.remove()
