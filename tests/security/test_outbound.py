"""What makes the server itself go out: nothing that a client can ask for."""

import json

from tests.support.mlflow_server import Server


def test_lists_of_models_of_others_come_with_the_package(server: Server, way_out: tuple[str, list[str]]) -> None:
    answer = server.call("GET", "/ajax-api/3.0/mlflow/gateway/supported-models", "viewer")
    assert answer.status == 200, answer.text[:300]
    assert json.loads(answer.body)["models"]
    assert way_out[1] == []
