"""The REST gateway: the same services, handlers and rights under the paths that their options declare."""

import socket
import time
from typing import Any

import pytest

from tests.support.cloud import (
    AIRFLOW,
    FOLDER,
    Endpoint,
)
from tests.support.waiting import wait_until


@pytest.fixture
def token(endpoint: Endpoint) -> str:
    return endpoint.token_of_deployer()


def done(endpoint: Endpoint, token: str, operation: dict[str, Any]) -> dict[str, Any]:
    box = [operation]

    def look() -> bool:
        box[0] = endpoint.rest("GET", f"/operations/{operation['id']}", token).json()
        return bool(box[0].get("done"))

    wait_until(look, f"{operation} is not done")
    return box[0]


def test_discovery_answers_with_the_rest_address(endpoint: Endpoint) -> None:
    endpoints = endpoint.rest("GET", "/endpoints").json()["endpoints"]
    assert {"id": "lockbox-payload", "address": endpoint.address["rest"]} in endpoints
    assert {entry["address"] for entry in endpoints} == {endpoint.address["rest"]}


def test_a_resource_lives_its_life(endpoint: Endpoint, token: str) -> None:
    body = {"folderId": FOLDER, "name": "rest", "labels": {"a": "b"}}
    operation = endpoint.rest("POST", "/vpc/v1/networks", token, json=body).json()
    assert "done" not in operation
    network = done(endpoint, token, operation)["response"]
    path = f"/vpc/v1/networks/{network['id']}"
    assert endpoint.rest("GET", path, token).json()["labels"] == {"a": "b"}
    change = {"updateMask": "description", "description": "new", "name": "ignored"}
    done(endpoint, token, endpoint.rest("PATCH", path, token, json=change).json())
    query = {"folderId": FOLDER, "filter": 'name="rest"', "pageSize": "1"}
    listed = endpoint.rest("GET", "/vpc/v1/networks", token, params=query).json()["networks"]
    assert [(n["name"], n["description"]) for n in listed] == [("rest", "new")]
    done(endpoint, token, endpoint.rest("DELETE", path, token).json())
    assert endpoint.rest("GET", path, token).status_code == 404


@pytest.mark.parametrize(
    ("verb", "path", "status", "message"),
    [
        ("GET", "/nothing/v1/here", 404, "GET /nothing/v1/here is not a path of this API"),
        ("GET", "/vpc/v1/networks/enpnone", 404, "Network 'enpnone' not found"),
        ("GET", f"/vpc/v1/networks?folderId={FOLDER}&colour=red", 400, "no field 'colour'"),
        ("GET", "/lockbox/v1/secrets", 400, "folder_id: is required"),
        ("GET", "/vpc/v1/networks?folderId=b1gforeign0000000001", 403, "b1gforeign0000000001"),
    ],
)
def test_refusals_have_the_status_and_the_reason(
    endpoint: Endpoint, token: str, verb: str, path: str, status: int, message: str
) -> None:
    answer = endpoint.rest(verb, path, token)
    assert (answer.status_code, set(answer.json())) == (status, {"code", "message", "details"})
    assert message in answer.json()["message"]


def test_no_token_and_no_role_are_refused(endpoint: Endpoint) -> None:
    path = f"/vpc/v1/networks?folderId={FOLDER}"
    assert endpoint.rest("GET", path).status_code == 401
    denied = endpoint.rest("GET", path, endpoint.token("nobody"))
    assert denied.status_code == 403
    assert endpoint.rest("GET", path, endpoint.token("airflow")).status_code == 200


def test_a_body_that_is_no_json_is_refused(endpoint: Endpoint, token: str) -> None:
    answer = endpoint.rest("POST", "/vpc/v1/networks", token, data="{")
    assert answer.status_code == 400
    assert "CreateNetworkRequest" in answer.json()["message"]


def test_custom_verbs_and_bindings(endpoint: Endpoint, token: str) -> None:
    operation = endpoint.rest("POST", "/lockbox/v1/secrets", token, json={"folderId": FOLDER, "name": "rest"}).json()
    path = f"/lockbox/v1/secrets/{done(endpoint, token, operation)['response']['id']}"
    assert (
        done(endpoint, token, endpoint.rest("POST", f"{path}:deactivate", token).json())["response"]["status"]
        == "INACTIVE"
    )
    binding = {"roleId": "lockbox.viewer", "subject": {"id": AIRFLOW, "type": "serviceAccount"}}
    bind = endpoint.rest("POST", f"{path}:setAccessBindings", token, json={"accessBindings": [binding]})
    done(endpoint, token, bind.json())
    assert endpoint.rest("GET", f"{path}:listAccessBindings", token).json() == {"accessBindings": [binding]}


def test_a_client_that_says_nothing_holds_nobody_up(endpoint: Endpoint) -> None:
    host, port = endpoint.address["rest"].split(":")
    with socket.create_connection((host, int(port))):
        # The endpoint drops such a client after 60 s; the call gives up before that, and must not have to.
        started = time.monotonic()
        assert endpoint.rest("GET", "/endpoints", seconds=50).status_code == 200
        print(f"the answer took {time.monotonic() - started:.1f} s")
