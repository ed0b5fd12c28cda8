"""A machine reads its secrets from Lockbox by its own identity: the program of role `secrets`, as its unit runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.cloud import (
    AIRFLOW,
    FOLDER,
    Endpoint,
)
from tests.support.waiting import wait_until

PROGRAM = ROOT / "roles" / "secrets" / "files" / "assemble.py"
PASSWORD = r"p:a\s{s}'w\"ord"


@pytest.fixture(scope="module")
def secret(endpoint: Endpoint) -> str:
    """A secret whose payload the account `airflow` may read."""
    token = endpoint.token_of_deployer()
    body = {
        "folderId": FOLDER,
        "name": "machine",
        "versionPayloadEntries": [{"key": "password", "textValue": PASSWORD}],
    }
    made = endpoint.rest("POST", "/lockbox/v1/secrets", token, json=body).json()
    path = f"/lockbox/v1/secrets/{made['metadata']['secretId']}"
    wait_until(lambda: endpoint.rest("GET", path, token).json().get("status") == "ACTIVE", "the secret is not active")
    delta = {"action": "ADD", "accessBinding": {"roleId": "lockbox.payloadViewer"}}
    delta["accessBinding"] |= {"subject": {"id": AIRFLOW, "type": "serviceAccount"}}  # type: ignore[operator]
    binding = endpoint.rest("POST", f"{path}:updateAccessBindings", token, json={"accessBindingDeltas": [delta]}).json()
    wait_until(lambda: endpoint.rest("GET", f"/operations/{binding['id']}", token).json().get("done"), "no binding")
    return str(made["metadata"]["secretId"])


def assemble(endpoint: Endpoint, folder: Path, machine: str, values: dict[str, Any], files: dict[str, str]) -> Any:
    config = {
        "values": values,
        "files": files,
        "lockbox": f"https://{endpoint.address['rest']}",
        "metadata": endpoint.address["metadata"][machine],
        "ca": Path(endpoint.address["ca"]).read_text(),
    }
    (folder / "config").write_text(json.dumps(config))
    # A proxy of the machine's must not see the token.
    environment = {"CREDENTIALS_DIRECTORY": str(folder), "RUNTIME_DIRECTORY": str(folder), "PATH": os.environ["PATH"]}
    proxies = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    command = [sys.executable, "-I", str(PROGRAM)]
    return subprocess.run(command, env=environment | proxies, capture_output=True, text=True, timeout=120)


def test_files_are_made_of_lockbox_and_inventory(endpoint: Endpoint, tmp_path: Path, secret: str) -> None:
    values = {"user-a": {"lockbox": secret, "key": "password"}, "id": {"value": "key-id"}}
    done = assemble(endpoint, tmp_path, "airflow", values, {"aws": "[default]\nid = {id}\nkey = {user-a}\n"})
    assert done.returncode == 0, done.stderr
    made = tmp_path / "aws"
    assert made.read_text() == f"[default]\nid = key-id\nkey = {PASSWORD}\n"
    assert made.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in done.stdout + done.stderr


def test_a_machine_without_the_right_is_told_so_at_once(endpoint: Endpoint, tmp_path: Path, secret: str) -> None:
    done = assemble(endpoint, tmp_path, "nobody", {"a": {"lockbox": secret, "key": "password"}}, {"a": "{a}"})
    assert done.returncode == 1
    assert f"/lockbox/v1/secrets/{secret}/payload answers status 403" in done.stderr
    assert not (tmp_path / "a").exists()


def test_a_missing_entry_is_named(endpoint: Endpoint, tmp_path: Path, secret: str) -> None:
    done = assemble(endpoint, tmp_path, "airflow", {"a": {"lockbox": secret, "key": "pasword"}}, {"a": "{a}"})
    assert done.returncode == 1
    assert f"Lockbox secret {secret} has no text under the key 'pasword'; it has ['password']" in done.stderr
