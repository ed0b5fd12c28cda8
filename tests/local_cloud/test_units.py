"""The parts that need no process: rules, filters, roles, prices, reasons."""

import dataclasses
import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trustme", reason="the endpoint's own requirements are not installed here (requirements/stack.txt)")

from yandex.cloud.dataproc.v1 import cluster_service_pb2, subcluster_pb2

from local_cloud import pricing, report
from local_cloud.core import identity, schema, validation
from local_cloud.core.config import Config
from local_cloud.core.context import new_context
from local_cloud.core.errors import ApiError
from local_cloud.core.faults import check_rule
from local_cloud.core.store import Store
from local_cloud.pricing import Hosts
from local_cloud.protocols import rest
from local_cloud.services.dataproc import spark
from local_cloud.services.generic.verbs import Resources
from tests.local_cloud.test_all_services import BEYOND

README = (Path(pricing.__file__).parent / "README.md").read_text()


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("1-63", (1, 63), (0, 64)),
        ("<=50", (0, 50), (51,)),
        ("<256", (255,), (256,)),
        (">=1", (1,), (0,)),
        (">0", (0.5,), (0,)),
        ("36", (36,), (35, 37)),
        ("1m-10m", (60, 600), (59, 601)),
        ("0,10-20", (0, 10, 20), (5, 21)),
    ],
)
def test_bounds(rule: str, good: tuple[float, ...], bad: tuple[float, ...]) -> None:
    for value in good:
        validation.check_bounds(rule, value, "field", "value")
    for value in bad:
        with pytest.raises(ApiError, match=f"field: value is .*, expected {rule}"):
            validation.check_bounds(rule, value, "field", "value")


def test_nested_messages_and_durations_are_checked() -> None:
    request = cluster_service_pb2.CreateClusterRequest(folder_id="f", name="name", zone_id="z", service_account_id="s")
    group = request.config_spec.subclusters_spec.add(role=subcluster_pb2.COMPUTENODE, subnet_id="s", hosts_count=1)
    group.resources.SetInParent()
    group.autoscaling_config.max_hosts_count = 5
    validation.check(request)
    group.autoscaling_config.measurement_duration.seconds = 30
    field = r"config_spec.subclusters_spec\[0\].autoscaling_config.measurement_duration"
    with pytest.raises(ApiError, match=f"{field}: duration in seconds is 30, expected 1m-10m"):
        validation.check(request)


def test_the_price_of_the_vendors_own_example_comes_out() -> None:
    """A b2.medium with 20 GB of SSD and an s2.micro with 100 GB of HDD (docs/data-proc/pricing): 9.00 an hour."""
    hosts = [Hosts("b2.medium", "network-ssd", 20 << 30, 1), Hosts("s2.micro", "network-hdd", 100 << 30, 1)]
    hour = pricing.cost(hosts, 1, 1)
    assert hour.amount == pytest.approx(9.00, abs=0.005)
    assert str(hour) == "9.00 RUB"
    stopped = pricing.cost(hosts, 0, 1)
    assert stopped.amount == pytest.approx(0.33 + 0.41, abs=0.005)


def test_a_price_that_is_not_known_is_not_invented() -> None:
    cost = pricing.cost([Hosts("s2.micro", "network-ssd-nonreplicated", 93 << 30, 1)], 1, 1)
    assert (cost.amount, str(cost)) == (None, "no known price for disk network-ssd-nonreplicated GB")
    known = pricing.cost([Hosts("s2.micro", "network-ssd", 1 << 30, 1)], 1, 1)
    assert (known + cost).amount is None


def test_every_price_has_a_unit_and_a_source_or_is_unknown() -> None:
    table = json.loads((Path(pricing.__file__).parent / "prices.json").read_text())
    for name, entry in table["prices"].items():
        assert entry["per"] in ("hour", "month"), name
        assert (entry["price"] is None) == (entry["source"] is None), name
        assert entry["source"] is None or entry["source"] in table["sources"], name
    sold = {f"{p['platform']} vCPU {p['share']}%" for p in pricing.PRESETS.values()}
    assert sold <= set(table["prices"])


def test_stopped_time_is_not_paid() -> None:
    changes = [(0.0, "CREATING"), (10.0, "RUNNING"), (50.0, "STOPPED"), (80.0, "RUNNING")]
    assert report.paid_seconds(changes, 0, 100) == 70
    assert report.paid_seconds(changes, 60, 90) == 10


@pytest.mark.parametrize(
    ("role", "method", "allowed"),
    [
        ("viewer", "yandex.cloud.vpc.v1.NetworkService/List", True),
        ("viewer", "yandex.cloud.vpc.v1.NetworkService/Create", False),
        ("viewer", "yandex.cloud.lockbox.v1.PayloadService/Get", False),
        ("editor", "yandex.cloud.lockbox.v1.PayloadService/Get", False),
        ("editor", "yandex.cloud.resourcemanager.v1.FolderService/SetAccessBindings", False),
        ("admin", "yandex.cloud.resourcemanager.v1.FolderService/SetAccessBindings", True),
        ("dataproc.editor", "yandex.cloud.dataproc.v1.JobService/Cancel", True),
        ("dataproc.editor", "yandex.cloud.compute.v1.InstanceService/Create", False),
        ("dataproc.agent", "yandex.cloud.dataproc.v1.ClusterService/Delete", False),
        ("lockbox.payloadViewer", "yandex.cloud.lockbox.v1.PayloadService/Get", True),
        ("lockbox.editor", "yandex.cloud.lockbox.v1.PayloadService/Get", False),
        ("vpc.user", "yandex.cloud.vpc.v1.SubnetService/Delete", False),
        ("made.up", "yandex.cloud.vpc.v1.NetworkService/Get", False),
    ],
)
def test_roles(role: str, method: str, allowed: bool) -> None:
    assert identity.allows(role, method) is allowed


def test_the_role_that_is_asked_for_is_a_narrow_one() -> None:
    assert identity.needed("yandex.cloud.dataproc.v1.ClusterService/Create") == "dataproc.editor"
    assert identity.needed("yandex.cloud.lockbox.v1.PayloadService/Get") == "lockbox.payloadViewer"
    assert identity.needed("yandex.cloud.airflow.v1.ClusterService/Get") == "viewer"
    assert identity.needed("yandex.cloud.airflow.v1.ClusterService/Create") == "editor"
    assert identity.needed("yandex.cloud.resourcemanager.v1.FolderService/SetAccessBindings") == "admin"


@pytest.mark.parametrize(
    ("verb", "path", "method", "variables"),
    [
        ("GET", "/endpoints", "ApiEndpointService.List", {}),
        ("GET", "/lockbox/v1/secrets/e6q1/payload", "PayloadService.Get", {"secret_id": "e6q1"}),
        ("POST", "/lockbox/v1/secrets/e6q1:activate", "SecretService.Activate", {"secret_id": "e6q1"}),
        ("GET", "/managed-postgresql/v1/clusters/c9q1", "ClusterService.Get", {"cluster_id": "c9q1"}),
        ("GET", "/dataproc/v1/clusters/c1/jobs/j1:logs", "JobService.ListLog", {"cluster_id": "c1", "job_id": "j1"}),
    ],
)
def test_routes(verb: str, path: str, method: str, variables: dict[str, str]) -> None:
    route, match = rest.find(verb, path)
    assert (route.method.full_name.endswith(method), match.groupdict()) == (True, variables)


def test_timing_keys_read_as_people_say_them() -> None:
    for path, key in (
        ("yandex.cloud.dataproc.v1.ClusterService/Create", "dataproc.cluster.create"),
        ("yandex.cloud.mdb.postgresql.v1.ClusterService/Delete", "mdb.postgresql.cluster.delete"),
    ):
        method = schema.find_method(path)
        assert method is not None
        assert schema.timing_key(method) == key


def test_most_of_the_cloud_is_covered_by_the_generic_verbs(tmp_path: Path) -> None:
    """A service that later work needs is there already: each with a Create has Create, Get, List and Delete."""
    uncovered = []
    config = Config(tmp_path, "cloud", "folder", {})
    resources = Resources(new_context(config, Store(tmp_path / "state.db"), "localhost:1"))
    for service in (service for package in schema.packages() for service in schema.load_package(package)):
        if {"Create", "Get", "List", "Delete"} <= set(service.methods_by_name):
            try:
                for verb in ("Create", "Get", "List", "Delete"):
                    resources.handler(service.methods_by_name[verb])
            except ApiError:
                uncovered.append(service.full_name)
    assert uncovered == []


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("", "the log is empty"),
        ("24/01/01 00:00:00 INFO A: b\n", "24/01/01 00:00:00 INFO A: b"),
        ("plain words\n24/01/01 00:00:00 WARN A: b\n\n", "plain words"),
        (
            "Traceback (most recent call last):\n  File 'a.py'\npy4j.protocol.Py4JJavaError: An error occurred\n"
            ": org.apache.spark.SparkException: Job aborted\n\tat org.apache.X\n",
            "py4j.protocol.Py4JJavaError: An error occurred: org.apache.spark.SparkException: Job aborted",
        ),
        (
            "Traceback (most recent call last):\n  ...\nKeyError: 1\n\nDuring handling of the above exception, another"
            " exception occurred:\n\nTraceback (most recent call last):\n  ...\nValueError: 2\n",
            "ValueError: 2",
        ),
    ],
)
def test_reasons(log: str, expected: str) -> None:
    assert spark.reason(log) == expected


def test_package_names_are_compared_as_pip_does() -> None:
    runtime = spark.Runtime(Path(), {"scikit-learn": "1.3.2"})
    assert spark.pip_mismatches(runtime, {"pip:Scikit_Learn": "1.3.2", "spark:x": "y"}) == []
    (complaint,) = spark.pip_mismatches(runtime, {"pip:scikit-learn": "1.4"})
    assert complaint == "scikit-learn: asked for 1.4, the image has 1.3.2"


def test_the_readme_says_what_each_service_refuses_and_by_which_source() -> None:
    """A service with checks of its own has its source beside them, and a row."""
    rows = README.split("## What is refused, and by which source")[1].split("\n## ")[0].splitlines()
    sources = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in rows if line.startswith("| ")}
    folder = Path(pricing.__file__).parent / "services"
    checked = sorted(file.parent for file in folder.glob("*/checks.py"))
    assert len(checked) >= 5
    for service in checked:
        assert "Source: " in (service / "checks.py").read_text(), service.name
        title = re.split(r"[:(]", (service / "__init__.py").read_text().strip('"'))[0].strip()
        assert sources.get(title), f"no row for {title!r}"


def test_tables_of_facts_say_when_they_were_read_and_where() -> None:
    folder = Path(pricing.__file__).parent
    for name in ("quotas.json", "platforms.json", "core/rules.json"):
        table = json.loads((folder / name).read_text())
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", table["read"]), name
        assert all(table["sources"].values()), name
    quotas = json.loads((folder / "quotas.json").read_text())
    assert {name.split(".")[0] for name in quotas["limits"]} == set(quotas["services"]) <= set(quotas["sources"])


def test_every_rule_of_the_table_is_of_a_field_that_there_is() -> None:
    """A rule that fits nothing checks nothing."""
    table = json.loads((Path(pricing.__file__).parent / "core" / "rules.json").read_text())
    for package in ("vpc.v1", "compute.v1"):
        schema.load_package(f"yandex.cloud.{package}")
    names = [
        field.full_name
        for package in ("vpc.v1", "compute.v1")
        for service in schema.load_package(f"yandex.cloud.{package}")
        for method in service.methods
        for field in _fields_within(method.input_type, set())
    ]
    for pattern in table["fields"]:
        assert fnmatch.filter(names, pattern), pattern


def _fields_within(message: Any, seen: set[str]) -> Iterator[Any]:
    if message.full_name not in seen:
        seen.add(message.full_name)
        for field in message.fields:
            yield field
            if field.message_type:
                yield from _fields_within(field.message_type, seen)


def test_the_readme_names_every_key_of_the_configuration_and_only_those() -> None:
    table = README.split("## Configuration")[1].split("## ")[0]
    named = {
        key
        for line in table.splitlines()
        if line.startswith("| `")
        for key in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert named == {field.name for field in dataclasses.fields(Config)}


def test_the_readmes_faults_are_faults() -> None:
    blocks = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    rules = [rule for block in blocks for rule in json.loads(block)]
    assert len(rules) == 9
    for rule in rules:
        check_rule(rule)
    with pytest.raises(ValueError, match="unknown keys"):
        check_rule({**rules[0], "colour": "red"})
    with pytest.raises(ValueError, match="needs a 'code' and how many 'times'"):
        check_rule({"method": "*", "when": "new", "code": "NOT_FOUND"})


def test_the_readme_counts_the_services_right() -> None:
    found = [service for package in schema.packages() for service in schema.load_package(package)]
    whole = [s for s in found if {"Create", "Get", "List", "Delete"} <= set(s.methods_by_name)]
    assert f"all but {len(BEYOND)} of {len(whole)} services" in README
