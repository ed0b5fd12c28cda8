"""The command line: what each command takes, and how it ends if something is wrong."""

import errno
import sys
from pathlib import Path

import pytest

from stack.cli import run
from stack.common.envs import ROOT
from stack.local import demo

HERE = {"state": Path(".demo").absolute()}
CLOUD = {"state": Path(".cloud").absolute(), "project": ROOT, "mirror": ""}
BOOTSTRAP = {"yes": False, "force": False, "schedule": None, "only": "", "adopt": ""}
DEMO = {
    "weeks": 1,
    "port": None,
    **dict.fromkeys(("lake", "lake_endpoint", "image", "customers", "seed", "schedule")),  # as they were chosen before
    "engine": None,
    "force": False,
}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("demo", HERE | DEMO),
        ("stop", HERE),
        ("clean", HERE),
        ("status", HERE),
        ("doctor", HERE | {"image": "2.2"}),
        ("bootstrap", CLOUD | BOOTSTRAP),
        ("destroy", CLOUD | {"yes": False}),
        ("cost", CLOUD | {"minutes": 30.0, "runs": 4.3}),
    ],
)
def test_every_command_has_its_options_and_defaults(command: str, options: dict[str, object]) -> None:
    assert vars(run.parser().parse_args([command])) == options | {"command": command}


def test_options_are_of_their_types() -> None:
    given = run.parser().parse_args(
        ["demo", "--state", "~/x", "--weeks=2", "--port", "19000", "--image=2.1", "--force"]
    )
    assert given.state == Path.home() / "x"
    assert (given.weeks, given.port, given.image, given.force) == (2, 19000, "2.1", True)
    assert run.parser().parse_args(["cost", "--minutes", "20"]).minutes == 20.0


@pytest.mark.parametrize(
    ("problem", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "Interrupted. What was started runs on"),
        (OSError(errno.ENOSPC, "no room"), 1, "is full. Make room"),
    ],
)
def test_a_command_that_cannot_go_on_says_how(
    problem: BaseException,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def fail(_: object) -> None:
        raise problem

    monkeypatch.setattr(demo, "stop", fail)
    monkeypatch.setattr(sys, "argv", ["stack", "stop", "--state", str(tmp_path)])
    assert run.main() == status
    printed = capsys.readouterr()
    assert said in printed.out + printed.err
