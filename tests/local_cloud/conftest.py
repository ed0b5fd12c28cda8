"""Endpoints for the tests: one that many share, and fresh ones for tests that kill or configure theirs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud import Endpoint, ObjectStore, fake_image


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    store = ObjectStore()
    yield store
    store.close()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return fake_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def endpoint(
    tmp_path_factory: pytest.TempPathFactory, object_store: ObjectStore, image: dict[str, str]
) -> Iterator[Endpoint]:
    """The shared endpoint; a test leaves nothing in it that another could trip over."""
    running = Endpoint(tmp_path_factory.mktemp("endpoint"), object_store.url, {"2.2": image}).start()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture
def new_endpoint(tmp_path: Path, object_store: ObjectStore, image: dict[str, str]) -> Iterator[Callable[..., Endpoint]]:
    """Makes endpoints of the test's own (not started yet), and ends them."""
    made: list[Endpoint] = []

    def make(**changes: Any) -> Endpoint:
        made.append(Endpoint(tmp_path / str(len(made)), object_store.url, **{"images": {"2.2": image}, **changes}))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.stop()
