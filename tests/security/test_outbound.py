"""What makes the server itself go out: nothing that a client can ask for."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import mlflow_server
from tests.support.mlflow_server import Server


@pytest.fixture
def server(programs: Path, tmp_path: Path, canary: tuple[str, list[str]]) -> Iterator[Server]:
    """Its own requests would come by the canary."""
    by = {"HTTPS_PROXY": canary[0], "HTTP_PROXY": canary[0], "NO_PROXY": "127.0.0.1"}
    with mlflow_server.started(tmp_path, programs, settings=by) as one:
        yield one


def test_lists_of_models_of_others_come_with_the_package(server: Server, canary: tuple[str, list[str]]) -> None:
    answer = server.call("GET", "/ajax-api/3.0/mlflow/gateway/supported-models", "viewer")
    assert answer.status == 200, answer.text[:300]
    assert json.loads(answer.body)["models"]
    assert canary[1] == []
