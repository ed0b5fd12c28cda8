"""What must hold before anything is made: one clear message for each thing that is missing or wrong."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from stack.cloud.deployment import Deployment
from stack.cloud.settings import require_known
from stack.local.state import write_private
from tests.bootstrap.cloud_fixture import CloudFixture
from tests.support.cloud import FOLDER, new_key
from tests.support.marks import quick


def without(program: str, folder: Path) -> str:
    """A PATH that has everything but one program."""
    folder.mkdir()
    for source in os.environ["PATH"].split(":"):
        for file in Path(source).glob("*") if Path(source).is_dir() else ():
            if file.name != program and file.is_file() and not os.path.lexists(folder / file.name):
                (folder / file.name).symlink_to(file)
    return str(folder)


@pytest.mark.parametrize(
    ("program", "advice"),
    [("terraform", "developer.hashicorp.com/terraform/install"), ("ssh", "apt-get install openssh-client")],
)
def test_a_missing_program_is_named_with_all_else_that_is_wrong(
    untouched: CloudFixture, tmp_path: Path, program: str, advice: str
) -> None:
    status, printed = untouched.run(
        "bootstrap", "--yes", PATH=without(program, tmp_path / "bin"), YC_TOKEN="t1.both.set"
    )
    assert status == 1
    assert f"`{program}` is not on PATH" in printed
    assert advice in printed
    assert "Both YC_SERVICE_ACCOUNT_KEY_FILE and YC_TOKEN are set" in printed
    assert "Traceback" not in printed
    assert "Mend what is marked FAIL, then run this again; nothing was changed." in printed
    assert untouched.calls() == []


def test_an_older_terraform_is_told_so(untouched: CloudFixture, tmp_path: Path) -> None:
    old = tmp_path / "terraform"
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.9.8"}\'\n')
    old.chmod(0o755)
    status, printed = untouched.run("bootstrap", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert status == 1
    assert f"{old} is version 1.9.8, 1.11 or newer is needed" in printed


def key_file(untouched: CloudFixture, path: Path, **changes: str) -> str:
    write_private(path, json.dumps(json.loads(untouched.key.read_text()) | changes))
    return str(path)


def wrong_credentials(untouched: CloudFixture, folder: Path) -> dict[str, tuple[dict[str, str], str]]:
    """What a person may get wrong -> (environment, what is said)."""
    wrong_key, _ = new_key()
    open_to_all = Path(key_file(untouched, folder / "open.json"))
    open_to_all.chmod(0o644)
    write_private(folder / "no.json", "{}")
    name = "YC_SERVICE_ACCOUNT_KEY_FILE"
    return {
        "absent": ({name: str(folder / "absent.json")}, "there is no such file"),
        "open to others": ({name: str(open_to_all)}, f"chmod 600 {open_to_all}"),
        "no key": ({name: str(folder / "no.json")}, "is no key of a service account"),
        "another's key": ({name: key_file(untouched, folder / "w.json", private_key=wrong_key)}, "does not take"),
        "unknown key": ({name: key_file(untouched, folder / "u.json", id="ajeunknown0000000000")}, "does not take"),
        "expired token": ({name: "", "YC_TOKEN": "t1.old.token"}, "UNAUTHENTICATED"),
        "none at all": ({name: ""}, "There are no credentials"),
    }


CASES = ["absent", "open to others", "no key", "another's key", "unknown key", "expired token", "none at all"]


@pytest.mark.parametrize("case", quick(CASES, "another's key", "none at all"))
def test_wrong_credentials_are_one_clear_message(untouched: CloudFixture, tmp_path: Path, case: str) -> None:
    environment, message = wrong_credentials(untouched, tmp_path)[case]
    if case == "none at all":
        environment["PATH"] = without("yc", tmp_path / "bin")
    status, printed = untouched.run("bootstrap", "--yes", **environment)
    assert status == 1
    assert message in printed
    assert "FAIL  credentials" in printed
    assert "Traceback" not in printed
    assert "t1.old.token" not in printed
    assert untouched.calls() == []


def test_settings_that_are_missing_or_wrong_are_said(untouched: CloudFixture) -> None:
    file = untouched.project / "terraform" / "terraform.tfvars"
    kept = file.read_text()
    cases = {"": "terraform.tfvars.example", 'zone = "x"\n': "has no folder_id", "folder_id =\n": "not understood"}
    for text, message in cases.items():
        file.write_text(text) if text else file.unlink()
        status, printed = untouched.run("bootstrap", "--yes")
        assert status == 1
        assert message in printed, printed
    file.write_text(kept)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            'prefx = "x"\n', "says what nobody reads: prefx; the variables are folder_id", marks=pytest.mark.verify
        ),
        ("dataproc = { compute_cont = 5 }\n", "dataproc.compute_cont; the keys of dataproc are compute_count"),
        pytest.param(
            "airflow = { worker = { mim = 1 } }\n",
            "airflow.worker.mim; the keys of airflow.worker are",
            marks=pytest.mark.verify,
        ),
        ('snapshots = { schedule = "a b c d e" }\n', "snapshots.schedule is 'a b c d e', which is no cron expression"),
    ],
)
def test_what_nobody_reads_in_the_settings_is_refused(untouched: CloudFixture, text: str, said: str) -> None:
    """Terraform drops a key that an object does not have, and warns of a variable that does not exist."""
    untouched.settings(text)
    status, printed = untouched.run("bootstrap", "--yes")
    untouched.settings()
    assert status == 1
    assert said in " ".join(printed.split())
    assert untouched.calls() == []


def test_a_map_takes_any_key(untouched: CloudFixture) -> None:
    untouched.settings('labels = { team = "risk" }\nairflow = { config = { core = { parallelism = "8" } } }\n')
    assert require_known(Deployment(untouched.state, untouched.project)).startswith("6 of ")
    untouched.settings()


def test_a_folder_that_the_account_does_not_see(untouched: CloudFixture) -> None:
    file = untouched.project / "terraform" / "terraform.tfvars"
    kept = file.read_text()
    file.write_text(kept.replace(FOLDER, "b1gnobodys0000000000"))
    status, printed = untouched.run("bootstrap", "--yes")
    file.write_text(kept)
    assert status == 1
    assert "refuses to show the folder b1gnobodys0000000000" in printed


def test_two_at_once_are_kept_apart(untouched: CloudFixture) -> None:
    untouched.state.mkdir(exist_ok=True)
    with open(untouched.state / "lock", "w") as handle:
        handle.write("4711")
        handle.flush()
        fcntl.flock(handle, fcntl.LOCK_EX)
        status, printed = untouched.run("bootstrap", "--yes")
    assert status == 1
    assert "Another `make bootstrap` (process 4711) is at work" in printed
