"""`make pause` and `make resume`: nothing is lost, nothing is left to pay for that nobody keeps."""

from collections.abc import Iterator

import pytest
from yandex.cloud.compute.v1 import instance_pb2
from yandex.cloud.compute.v1.instance_service_pb2 import DeleteInstanceRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from stack.cloud import destroy, leftovers, pause
from stack.cloud.account import Account
from stack.cloud.outputs import CostInputs
from stack.cloud.settings import Settings
from stack.common.errors import StackError
from tests.bootstrap.cloud_fixture import PREFIX, CloudFixture
from tests.bootstrap.test_inventory import OUTPUTS
from tests.support.cloud import FOLDER, result
from tests.support.cloud import finished as finished_operation
from tests.support.compute import instance_request

pytestmark = pytest.mark.timeout(600)
SETTINGS = Settings(FOLDER, PREFIX)
CLUSTER = leftovers.Leftover("Data Proc cluster", "fraud-retrain-1", "id-1")


NAMES = ["trial-airflow", "trial-mlflow", "trial-database", "trial-metadata"]


@pytest.fixture(scope="module")
def stoppable(cloud: CloudFixture, finished: object) -> Iterator[CloudFixture]:
    """What Terraform has made, and a database's machine besides its managed one, as another setting would have it."""
    sdk = cloud.endpoint.sdk()
    machines, request = sdk.client(InstanceServiceStub), instance_request("trial-database")
    request.labels["stack"] = PREFIX
    machine = result(sdk, machines.Create(request), instance_pb2.Instance)
    yield cloud
    finished_operation(sdk, machines.Delete(DeleteInstanceRequest(instance_id=machine.id)))


def all_are(cloud: CloudFixture, status: str) -> bool:
    found = {part.name: part.status for part in pause.parts(cloud.endpoint.sdk(), SETTINGS)}
    return found == dict.fromkeys(NAMES, status)


@pytest.mark.verify
def test_it_stops_and_starts_again(stoppable: CloudFixture) -> None:
    cloud = stoppable
    assert all_are(cloud, "RUNNING")
    status, printed = cloud.run("pause", answer="n\n")
    assert status == 1, printed
    assert all_are(cloud, "RUNNING")

    # One was stopped by an earlier call that did not come to its end.
    sdk = cloud.endpoint.sdk()
    pause.change(sdk, pause.parts(sdk, SETTINGS)[0], "Stop")
    for options in ((), ("--yes",)):  # the second one has nothing to ask
        status, printed = cloud.run("pause", *options, answer="y\n")
        assert status == 0, printed
        assert "RUB a month stand all the same" in printed
        assert all_are(cloud, "STOPPED")
    assert "stop:" not in printed

    for command in ("bootstrap", "rotate"):
        status, printed = cloud.run(command, "--yes")
        assert status == 1
        assert "`make resume` starts it" in " ".join(printed.split())

    awaited = cloud.folder / "machines" / "awaited"
    for _ in range(2):
        awaited.unlink(missing_ok=True)
        status, printed = cloud.run("resume")
        assert status == 0, printed
        assert all_are(cloud, "RUNNING")
        assert awaited.exists(), "MLflow is asked before Airflow runs"
    assert "start:" not in printed


@pytest.mark.verify
def test_what_asks_stops_first_and_starts_last(stoppable: CloudFixture) -> None:
    sdk = stoppable.endpoint.sdk()
    assert [part.name for part in pause.parts(sdk, SETTINGS)] == NAMES
    assert pause.parts(sdk, Settings(FOLDER, "somebody-else")) == []


@pytest.mark.verify
def test_what_protects_itself_runs_again_before_it_is_destroyed(stoppable: CloudFixture) -> None:
    """The cloud takes no change of what is stopped, and so no lifted protection."""
    sdk = stoppable.endpoint.sdk()
    parts = pause.parts(sdk, SETTINGS)
    for part in parts:
        pause.change(sdk, part, "Stop")
    pause.start(sdk, SETTINGS, *destroy.PROTECTED)
    assert [part.status for part in pause.parts(sdk, SETTINGS)] == ["RUNNING", "STOPPED", "STOPPED", "RUNNING"]
    pause.start(sdk, SETTINGS, "machine")
    assert all_are(stoppable, "RUNNING")


def test_a_run_under_way_keeps_it_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "ours", lambda *_: [CLUSTER])
    with pytest.raises(StackError, match=r"A run is under way \(Data Proc cluster fraud-retrain-1 .*paid for"):
        pause.refuse_during_a_run(Account("a test", "t1.x.y"), SETTINGS)


def test_a_run_that_began_meanwhile_gets_its_airflow_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would delete its cluster."""
    changed = []
    monkeypatch.setattr(leftovers, "ours", lambda *_: [CLUSTER])
    monkeypatch.setattr(pause, "change", lambda _, part, verb: changed.append((part.name, verb)))
    airflow = pause.Part("Airflow cluster", "trial-airflow", "id-2", "RUNNING")
    with pytest.raises(StackError, match="A run is under way"):
        pause.give_back_if_a_run_began(Account("a test", "t1.x.y"), SETTINGS, airflow)
    assert changed == [("trial-airflow", "Start")]


def test_nothing_is_paused_where_nothing_was_made(untouched: CloudFixture) -> None:
    for command in ("pause", "resume"):
        status, printed = untouched.run(command)
        assert status == 1
        assert "`make bootstrap` makes one" in printed


def test_cores_and_memory_are_saved_and_disks_are_not() -> None:
    sizes = CostInputs.parse(OUTPUTS["cost_inputs"])
    lines = {each.item: each.hourly for each in pause.standing(sizes)}
    assert lines["secret version"] is False
    assert {item for item, hourly in lines.items() if hourly} == {
        item for item in lines if item.endswith(("vCPU", "RAM GB"))
    }
    assert not any(hourly for item, hourly in lines.items() if "GB" in item and "RAM" not in item)
