"""The command line: what each command takes, and how it ends if something is wrong."""

import errno
import sys
from pathlib import Path

import grpc
import pytest
import requests
from botocore.exceptions import ClientError, EndpointConnectionError
from yandexcloud.operations import OperationError, OperationResult

from stack.cli import run
from stack.common.envs import ROOT
from stack.local import demo

HERE = {"state": Path(".demo").absolute()}
CLOUD = {"state": Path(".cloud").absolute(), "project": ROOT, "mirror": ""}
BOOTSTRAP = {"yes": False, "force": False, "schedule": None, "only": "", "adopt": ""}
DEMO = {
    "weeks": 1,
    "port": None,
    **dict.fromkeys(
        ("lake", "lake_endpoint", "image", "customers", "seed", "schedule", "approval")
    ),  # as they were chosen before
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
