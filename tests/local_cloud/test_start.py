"""What the endpoint refuses to start with: one message, exit status 1."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.cloud import Endpoint


def refused(endpoint: Endpoint) -> str:
    """The message of an endpoint that must not start."""
    assert endpoint.launch().wait(timeout=120) == 1
    lines = endpoint.log().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_readable_configuration_is_refused(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint()
    own.folder.mkdir()
    (own.folder / "config.json").touch()
    (own.folder / "config.json").chmod(0o644)
    message = refused(own)
    assert "has mode 0644, expected 0600" in message
    assert "chmod 600" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown keys ['colour']"),
        (
            {"instances": [{"name": "x", "service_account": "who"}]},
            "instance 'x' names the unknown service account 'who'",
        ),
        ({"object_store": {"endpoint": "http://127.0.0.1:1"}}, "access_key"),
    ],
)
def test_a_wrong_configuration_is_refused(
    new_endpoint: Callable[..., Endpoint], changes: dict[str, Any], message: str
) -> None:
    assert message in refused(new_endpoint(**changes))


@pytest.mark.parametrize(("key", "protocol"), [("grpc_port", "grpc"), ("rest_port", "rest")])
def test_a_taken_port_is_one_message(
    new_endpoint: Callable[..., Endpoint], endpoint: Endpoint, key: str, protocol: str
) -> None:
    port = int(endpoint.address[protocol].split(":")[1])
    message = refused(new_endpoint(**{key: port}))
    assert f"127.0.0.1:{port} ({key})" in message


def test_a_taken_metadata_port_is_one_message(new_endpoint: Callable[..., Endpoint], endpoint: Endpoint) -> None:
    port = int(endpoint.address["metadata"]["airflow"].split(":")[1])
    instance = {"name": "airflow", "service_account": "airflow", "metadata_port": port}
    assert f"127.0.0.1:{port} (metadata_port of instance 'airflow')" in refused(new_endpoint(instances=[instance]))


def test_a_second_endpoint_on_the_same_state_is_refused(
    new_endpoint: Callable[..., Endpoint], endpoint: Endpoint
) -> None:
    message = refused(new_endpoint(state=str(endpoint.state)))
    assert f"{endpoint.state} is in use by another endpoint" in message
