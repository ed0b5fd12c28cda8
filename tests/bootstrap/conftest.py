"""The clouds of these tests: one for the whole story, one in which nothing is ever made."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from stack.cloud.deployment import Deployment
from stack.local.state import State
from tests.bootstrap.cloud_fixture import CloudFixture, needs, object_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    with object_store(tmp_path_factory.mktemp("store")) as state:
        yield state


@pytest.fixture(scope="session")
def new_cloud(store: State, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], CloudFixture]]:
    if missing := needs():
        pytest.skip(missing)
    made: list[CloudFixture] = []

    def make() -> CloudFixture:
        made.append(CloudFixture(tmp_path_factory.mktemp("cloud"), store))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def untouched(new_cloud: Callable[[], CloudFixture]) -> CloudFixture:
    """A cloud in which no test makes anything."""
    return new_cloud()


@pytest.fixture(scope="session")
def cloud(new_cloud: Callable[[], CloudFixture]) -> CloudFixture:
    """The one of the story: test_interrupted, then test_made, then test_removed; each can also begin it."""
    return new_cloud()


def processes() -> set[str]:
    return {name for name in os.listdir("/proc") if name.isdigit()}


def arguments_of(found: Iterable[str]) -> Iterator[bytes]:
    for process in found:
        try:
            with open(f"/proc/{process}/cmdline", "rb") as handle:
                yield handle.read()
        except OSError:
            continue


@pytest.fixture(scope="session")
def finished(cloud: CloudFixture) -> tuple[str, set[bytes]]:
    """What the run printed that came to the end, and every command line that was seen on this machine meanwhile."""
    seen: set[bytes] = set()
    stop = threading.Event()

    before = processes()  # none of them is the run's; to read all of them again and again would fill a core

    def watch() -> None:
        while not stop.wait(0.02):
            seen.update(arguments_of(processes() - before))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return cloud.bootstrap(), seen
    finally:
        stop.set()
        watcher.join()


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    folder = tmp_path / "a deployment"
    folder.mkdir()
    return Deployment(folder, tmp_path)
