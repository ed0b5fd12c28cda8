"""What passes of a long proof is kept; what failed, is new, or depends on something that changed runs again."""

import json
import signal
import threading
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.kept import KeptFile, digest

CONFTEST = """
import pytest

@pytest.hookimpl(optionalhook=True)
def pytest_proof_inputs():
    return ["product", "!product/page.txt"]
"""
SUITE = """
import os, pathlib, pytest

@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_case(case, record_property):
    with open("ran.txt", "a") as file:
        file.write(case)
    record_property("case", case)
    record_property("state", "green")
    assert case not in pathlib.Path("broken.txt").read_text()
    if case in pathlib.Path("killed.txt").read_text():
        os._exit(9)
"""


pytest_plugins = ["pytester"]


class Suite:
    """A suite of three cases in a folder of its own."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester, self.folder = pytester, pytester.path
        self.file = self.folder / ".proofs" / "suite.jsonl"
        (self.folder / "product").mkdir()
        for name, text in {
            "conftest.py": CONFTEST,
            "test_suite.py": SUITE,
            "pytest.ini": "[pytest]\n",
            "product/code.txt": "1",
            "product/page.txt": "1",
            "broken.txt": "",
            "killed.txt": "",
        }.items():
            (self.folder / name).write_text(text)

    def run(self, *options: str, status: int = 0, apart: bool = False) -> str:
        """Runs the suite, which must end with that status; returns the cases that it ran.

        Args:
            apart: in a process of its own, which may be killed.
        """
        (self.folder / "ran.txt").write_text("")
        run = self.pytester.runpytest_subprocess if apart else self.pytester.runpytest_inprocess
        keep = self.file.relative_to(self.folder)
        assert run("-p", "tests.support.proof", "--keep", keep, *options).ret == status
        return (self.folder / "ran.txt").read_text()


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # hypothesis, playwright: not what is tested here
    return Suite(pytester)


def test_what_failed_runs_again_and_what_passed_does_not(suite: Suite) -> None:
    (suite.folder / "broken.txt").write_text("b")
    assert suite.run(status=1) == "abc"
    assert suite.run(status=1) == "b"
    (suite.folder / "broken.txt").write_text("")
    assert suite.run() == "b"
    assert suite.run() == ""


def test_a_run_that_is_killed_loses_nothing_that_passed(suite: Suite) -> None:
    (suite.folder / "killed.txt").write_text("c")
    assert suite.run(status=9, apart=True) == "abc"
    (suite.folder / "killed.txt").write_text("")
    assert suite.run() == "c"


def test_a_run_in_the_background_of_a_shell_hears_ctrl_c(suite: Suite) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        suite.run()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_changed_input_starts_anew_and_a_file_that_is_left_out_does_not(suite: Suite) -> None:
    assert suite.run() == "abc"
    (suite.folder / "product" / "page.txt").write_text("2")
    assert suite.run() == ""
    (suite.folder / "product" / "code.txt").write_text("2")
    assert suite.run() == "abc"


def test_fresh_runs_all_again_and_forgets_what_fails_then(suite: Suite) -> None:
    assert suite.run() == "abc"
    (suite.folder / "broken.txt").write_text("b")
    assert suite.run("--fresh", status=1) == "abc"
    assert suite.run(status=1) == "b"


def test_parts_side_by_side_have_every_case_once_and_one_that_has_none_is_no_failure(suite: Suite) -> None:
    assert suite.run("--part", "1/2") == "ac"
    assert suite.run("--part", "2/2", "--fresh") == "b"
    assert suite.run("--fresh", "--part", "1/2", "-k", "case[b]") == "b"
    assert suite.run("--fresh", "--part", "2/2", "-k", "case[b]") == ""
    assert suite.run("--part", "2/2", "-k", "nothing", status=pytest.ExitCode.NO_TESTS_COLLECTED) == ""
    assert suite.run() == ""


def test_a_suite_that_does_not_say_its_inputs_is_refused(suite: Suite) -> None:
    (suite.folder / "conftest.py").unlink()
    assert suite.run(status=4) == ""


def test_a_row_says_what_the_case_reported(suite: Suite) -> None:
    suite.run("-k", "case[a]")
    [line] = suite.file.read_text().splitlines()
    kept = json.loads(line)
    assert kept["id"] == "test_suite.py::test_case[a]"
    assert kept["row"] == {"case": "a", "state": "green"}
    assert kept["seconds"] < 60
    assert set(kept) == {"id", "inputs", "seconds", "commit", "date", "row"}


def test_processes_side_by_side_lose_no_line(tmp_path: Path) -> None:
    def add(name: str) -> None:
        for number in range(50):
            KeptFile(tmp_path / "kept.jsonl", "same").add(f"{name}{number}", 1, {"text": "x" * 2000})

    threads = [threading.Thread(target=add, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(KeptFile(tmp_path / "kept.jsonl", "same").passed()) == 100


def test_the_digest_does_not_depend_on_caches_and_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "a.py").write_text("x")
    before = digest(tmp_path, ["code"])
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_text("x")
    (tmp_path / "code" / ".a.swp").write_text("x")
    assert digest(tmp_path, ["code"]) == before
    assert digest(tmp_path, ["code"], "Debian 13") != before
    (tmp_path / "code" / "a.py").rename(tmp_path / "code" / "b.py")
    assert digest(tmp_path, ["code"]) != before
    with pytest.raises(FileNotFoundError, match="nowhere"):
        digest(tmp_path, ["nowhere"])
