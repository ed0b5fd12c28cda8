"""The command line: what each command takes, and how it ends if something is wrong."""

import errno
import json
import sys
from pathlib import Path

import grpc
import pytest
import requests
from botocore.exceptions import ClientError, EndpointConnectionError
from yandexcloud.operations import OperationError, OperationResult

from stack.cli import run, running
from stack.common.envs import ROOT
from stack.local import demo

HERE = {"state": Path(".demo").absolute()}
CLOUD = {"state": Path(".cloud").absolute(), "project": ROOT, "mirror": ""}
WHICH: dict[str, object] = {"state": None, "cloud": None}  # the one that is there
BOOTSTRAP = {"yes": False, "force": False, "schedule": None, "only": "", "adopt": ""}
DEMO = {
    "weeks": 1,
    "port": None,
    **dict.fromkeys(
        ("lake", "lake_endpoint", "image", "customers", "seed", "schedule", "approval")
    ),  # as they were chosen before
    "engine": None,
    **dict.fromkeys(("approval", "rule", "run_budget", "month_budget")),
    "force": False,
}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("demo", HERE | DEMO),
        ("stop", HERE),
        ("clean", HERE),
        ("status", WHICH | {"json": False}),
        ("history", WHICH),
        ("report", WHICH | {"of": None}),
        ("doctor", HERE | {"image": "2.2"}),
        ("bootstrap", CLOUD | BOOTSTRAP | {"target": "", "engine": None}),
        ("pause", CLOUD | {"yes": False}),
        ("resume", CLOUD),
        ("backup", CLOUD | {"check": False}),
        ("restore", CLOUD | {"backup": None, "time": None, "check": False, "yes": False}),
        ("upgrade", CLOUD | {"check": False}),
        ("destroy", CLOUD | {"yes": False, "force": False}),
        ("board", {"file": Path("docs/board.yml").absolute(), "apply": False}),
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


class Refused(grpc.RpcError):
    """As gRPC raises it."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.PERMISSION_DENIED

    def details(self) -> str:
        return "no role"


@pytest.mark.parametrize(
    ("problem", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "Interrupted. What was started runs on"),
        (OSError(errno.ENOSPC, "no room"), 1, "is full. Make room"),
        (Refused(), 1, "The cloud did not do it: PERMISSION_DENIED, no role. Give the account"),
        (
            ClientError({"Error": {"Code": "SlowDown", "Message": "m"}}, "PutObject"),
            1,
            "Object Storage answers 0 SlowDown",
        ),
        (EndpointConnectionError(endpoint_url="https://s3.test"), 1, "A service is away"),
        (requests.ConnectionError("refused"), 1, "ConnectionError: refused. A service is away"),
        (OperationError("Error code: 8. Message: disks. Meta: None.", OperationResult(None)), 1, "RESOURCE_EXHAUSTED"),
        (TimeoutError("c9q is not deleted after 1800 s"), 1, "c9q is not deleted after 1800 s"),
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
    assert "the same command resumes" in printed.out + printed.err


def test_a_fault_of_this_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(demo, "stop", fail)
    monkeypatch.setattr(sys, "argv", ["stack", "stop", "--state", str(tmp_path)])
    with pytest.raises(KeyError, match="ours"):
        run.main()


# ------------------------------------------------------------------------------------------------ which system is meant
def there(folder: Path, *names: str) -> None:
    """A demo, or a deployment, in its usual folder."""
    for name in names:
        (folder / name).mkdir()
        (folder / name / {".demo": "ports.json", ".cloud": "journal.json"}[name]).write_text("{}")


@pytest.mark.parametrize(
    ("names", "said", "kind", "where"),
    [
        ((), {}, "demo", ".demo"),
        ((".demo",), {}, "demo", ".demo"),
        ((".cloud",), {}, "cloud", ".cloud"),
        ((".demo", ".cloud"), {"cloud": Path(".cloud")}, "cloud", ".cloud"),
        ((".cloud",), {"state": Path("other")}, "demo", "other"),
    ],
)
def test_the_system_that_is_there_is_meant_or_the_one_that_was_said(
    names: tuple[str, ...],
    said: dict[str, Path],
    kind: str,
    where: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    there(tmp_path, *names)
    system = running.Which(**said).system()
    assert (system.kind, system.where.name) == (kind, where)


@pytest.mark.parametrize("said", [[], ["--state", ".demo", "--cloud", ".cloud"]])
def test_of_two_systems_a_person_says_which(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    there(tmp_path, ".demo", ".cloud")
    monkeypatch.setattr(sys, "argv", ["stack", "status", *said])
    assert run.main() == 2
    assert "STATE=" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["stack", "rollback", "--why", "it finds nothing", *said])
    assert run.main() == 1, "nothing is moved on a guess"


def test_what_is_not_there_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stack", "status", "--state", str(tmp_path / "x"), "--json"])
    assert run.main() == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["exit_status"], told["serving"]["state"]) == ("demo", 2, "unknown")
    assert told["serving"]["why"] == f"nothing runs in {tmp_path / 'x'}: `make demo` starts it"
    monkeypatch.setattr(sys, "argv", ["stack", "status", "--cloud", str(tmp_path / "y")])
    assert run.main() == 2
    assert f"{tmp_path / 'y'} has no deployment: `make bootstrap` makes one" in " ".join(
        capsys.readouterr().out.split()
    )
