"""What a machine of a lab is told by the metadata service: three forms, each of which can be shut."""

from typing import Any

import pytest

from local_cloud.machines.metadata import FLAVOR, GCE, SESSION, TTL, Asked, Service

OPTIONS = {
    "gce_http_endpoint": "ENABLED",
    "gce_http_token": "ENABLED",
    "aws_v1_http_endpoint": "ENABLED",
    "aws_v1_http_token": "DISABLED",
    "aws_v2_http_endpoint": "ENABLED",
    "aws_v2_http_token": "DISABLED",
}
INSTANCE: dict[str, Any] = {
    "id": "fhm1",
    "name": "fraud-mlflow",
    "fqdn": "mlflow.ru-central1.internal",
    "zone_id": "ru-central1-d",
    "metadata": {"user-data": "#cloud-config\n", "enable-oslogin": "false"},
    "network_interfaces": [{"primary_v4_address": {"address": "10.231.7.11"}}],
}
HEADER = {FLAVOR[0]: FLAVOR[1]}


def ask(path: str, headers: dict[str, str] | None = None, method: str = "GET", **shut: str) -> tuple[int, str]:
    answer = Service().answer(Asked(method, path, headers or {}), INSTANCE | {"metadata_options": OPTIONS | shut})
    return answer.status, answer.text


@pytest.mark.parametrize("version", ["latest", "2009-04-04"])
def test_ec2_s_first_form_is_where_cloud_init_looks(version: str) -> None:
    assert ask(f"/{version}/user-data") == (200, "#cloud-config\n")
    assert ask(f"/{version}/meta-data/instance-id") == (200, "fhm1")
    assert ask(f"/{version}/meta-data/placement/availability-zone") == (200, "ru-central1-d")
    assert "placement/" in ask(f"/{version}/meta-data/")[1].split("\n")
    assert ask(f"/{version}/meta-data/iam/security-credentials/default")[0] == 404, "tokens are not given in this form"
    assert ask(f"/{version}/user-data", aws_v1_http_endpoint="DISABLED")[0] == 400
    assert ask("/2016-09-02/meta-data/instance-id")[0] == 404, "only the oldest version is there"


def test_ec2_s_second_form_asks_for_a_session() -> None:
    service, instance = Service(), INSTANCE | {"metadata_options": OPTIONS}
    begun = service.answer(Asked("PUT", "/latest/api/token", {TTL: "60"}), instance)
    assert begun.status == 200
    given = service.answer(Asked("GET", "/latest/user-data", {SESSION: begun.text}), instance)
    assert given.text == "#cloud-config\n"
    assert service.answer(Asked("GET", "/latest/user-data", {SESSION: "guessed"}), instance).status == 401
    assert ask("/latest/api/token", {TTL: "60"}, "PUT", aws_v2_http_endpoint="DISABLED")[0] == 400


def test_gce_s_form_asks_for_a_header() -> None:
    assert ask(f"{GCE}attributes/user-data")[0] == 403
    assert ask(f"{GCE}attributes/user-data", HEADER) == (200, "#cloud-config\n")
    assert ask(f"{GCE}hostname", HEADER) == (200, "mlflow.ru-central1.internal")
    assert ask(f"{GCE}attributes/", HEADER)[1].split("\n") == ["user-data", "enable-oslogin"]
    assert ask(f"{GCE}attributes/user-data", HEADER, gce_http_endpoint="DISABLED")[0] == 400
    assert ask(f"{GCE}service-accounts/default/token", HEADER)[0] == 404, "it has no account"
