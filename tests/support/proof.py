"""A pytest plugin for suites that take an hour: what has passed is kept, and is not run again.

    python -m pytest -p tests.support.proof --keep .proofs/drill.jsonl tests/drill

A suite says in its conftest.py what its proof depends on:

    @pytest.hookimpl(optionalhook=True)
    def pytest_proof_inputs():
        return ["dags", "requirements/airflow.txt"]

What a test gives to pytest's own `record_property` is kept as its row; a page can be made of the rows
(tests/support/kept.py reads them).
"""

import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.kept import KeptFile, digest


class Hooks:
    def pytest_proof_inputs(self) -> Iterable[str]:  # type: ignore[empty-body]
        """Files and folders, relative to the root, that the proof depends on; `!path` leaves one out."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("proof")
    group.addoption("--keep", type=Path, metavar="FILE", help="keep what passes in FILE, and do not run it again")
    group.addoption("--fresh", action="store_true", help="run again what FILE has, too")
    group.addoption(
        "--part", default="1/1", help="N/M: the N-th of M parts of what is chosen, to run them side by side"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.keep:
        # A shell lets what it starts in the background ignore Ctrl-C; halves that run side by side must hear it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        config.pluginmanager.register(Keeper(config), "proof-keeper")


class Keeper:
    """Deselects what has passed before or is another part's, and keeps what passes now."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.path = config, config.rootpath / config.option.keep
        self.file: KeptFile | None = None
        self.chosen = self.kept = 0
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(trylast=True)  # after pytest's own -k: what that chooses is what there is to prove
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        inputs = {path for paths in self.config.hook.pytest_proof_inputs() for path in paths}
        if not inputs:
            raise pytest.UsageError("--keep: no conftest.py of this suite says its inputs (pytest_proof_inputs)")
        part, parts = map(int, self.config.option.part.split("/"))
        mine = items[part - 1 :: parts]
        self.file = KeptFile(self.path, digest(self.config.rootpath, sorted(inputs)))
        if self.config.option.fresh:
            self.file.forget(item.nodeid for item in mine)
        passed = self.file.passed()
        wanted = [item for item in mine if item.nodeid not in passed]
        self.chosen, self.kept = len(items), len(mine) - len(wanted)
        self.config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = wanted

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
        if report.outcome != "passed":
            self.failed.add(report.nodeid)
        if report.when == "teardown" and report.nodeid not in self.failed and self.file:
            self.file.add(report.nodeid, self.seconds[report.nodeid], dict(report.user_properties))

    def pytest_report_collectionfinish(self) -> str:
        return f"{self.kept} have passed before with the same inputs ({self.path}); --fresh runs them again"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self.chosen:
            session.exitstatus = pytest.ExitCode.OK
