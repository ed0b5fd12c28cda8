"""Clients of the object store, wherever one is made, send no checksums that Object Storage need not know."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from dags.retraining import lake
from fraud_retraining import credentials
from local_cloud.core.config import ObjectStore
from local_cloud.core.object_store import ObjectStoreClient
from stack.common.envs import ROOT
from stack.common.storage import storage_client

SETTINGS = ("request_checksum_calculation", "response_checksum_validation")


def of_the_stack(_: pytest.MonkeyPatch) -> Any:
    return storage_client("http://127.0.0.1:1", "key", "secret")


def of_the_operators_token(_: pytest.MonkeyPatch) -> Any:
    return storage_client("http://127.0.0.1:1")


def of_the_dags(monkeypatch: pytest.MonkeyPatch) -> Any:
    extra = {"endpoint_url": "http://127.0.0.1:1", "region_name": "ru-central1"}
    connection = SimpleNamespace(login="key", password="secret", extra_dejson=extra)
    airflow = SimpleNamespace(connection=lambda name: connection)
    monkeypatch.setitem(sys.modules, "dags.retraining.compat", airflow)  # the real one needs Airflow
    return lake.client()


def of_the_local_cloud(_: pytest.MonkeyPatch) -> Any:
    return ObjectStoreClient(ObjectStore("http://127.0.0.1:1", "key", "secret"))._client


@pytest.mark.parametrize("make", [of_the_stack, of_the_operators_token, of_the_dags, of_the_local_cloud])
def test_checksums_only_where_they_are_required(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make(monkeypatch).meta.config
    assert [getattr(config, name) for name in SETTINGS] == ["when_required"] * 2


def test_every_place_that_makes_a_client_says_so() -> None:
    """A new one is found here: `boto3.client`, or a program that starts boto3 with its own environment."""
    command = ["git", "grep", "-lE", r"boto3\.(client|resource|Session)\(", "--", "*.py", ":!tests"]
    made_in = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert made_in, "the search finds nothing at all"
    careless = [name for name in made_in if "when_required" not in (ROOT / name).read_text()]
    assert careless == []


def test_the_mlflow_machine_says_so_to_its_boto3() -> None:
    start = (ROOT / "roles/mlflow/files/run").read_text()
    for name in credentials.CHECKSUMS:
        assert f"{name}=when_required" in start


def test_jobs_say_so_to_the_boto3_that_mlflow_brings() -> None:
    environment: dict[str, str] = {}
    credentials.provide(None, environment)
    assert environment == dict.fromkeys(credentials.CHECKSUMS, "when_required")
    own = dict.fromkeys(credentials.CHECKSUMS, "when_supported")
    credentials.provide(None, own)
    assert set(own.values()) == {"when_supported"}, "what a deployment says itself holds"


def test_a_boto3_of_before_these_settings_is_served_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Managed Airflow's boto3 is the service's choice."""

    class Older:
        OPTION_DEFAULTS: ClassVar[dict[str, None]] = {"s3": None, "retries": None}

        def __init__(self, **options: object) -> None:
            assert set(options) <= set(self.OPTION_DEFAULTS), "an unknown setting is a TypeError there"

    monkeypatch.setattr("botocore.config.Config", Older)
    events = SimpleNamespace(register_first=lambda *_: None)
    monkeypatch.setattr(
        "boto3.client", lambda name, **told: SimpleNamespace(told=told, meta=SimpleNamespace(events=events))
    )
    assert of_the_dags(monkeypatch).told["region_name"] == "ru-central1"
