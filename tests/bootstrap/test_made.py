"""What a bootstrap that came to its end has made, and what another one does then."""

import json
import stat
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from yandex.cloud.vpc.v1 import address_pb2
from yandex.cloud.vpc.v1.address_service_pb2 import CreateAddressRequest, DeleteAddressRequest
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub

from dags.retraining import plan, settings
from local_cloud import pricing
from stack.cloud import quota_needs
from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.infrastructure import main_module
from stack.cloud.outputs import Outputs
from stack.cloud.remote_state import remote_state
from stack.common import lockbox
from stack.common.errors import StackError
from stack.local import deploy
from tests.bootstrap.cloud_fixture import AUTHORITY, PREFIX, CloudFixture, bucket
from tests.support.cloud import FOLDER, result
from tests.support.cloud import finished as finished_operation

pytestmark = pytest.mark.timeout(600)
VARIABLE = f"airflow/variables/{PREFIX}-fraud_retraining"
RULE = ("from_port", "to_port", "port", "predefined_target", "security_group_id", "v6_cidr_blocks")


def test_the_machines_are_told_where_everything_is(cloud: CloudFixture, finished: object) -> None:
    told = json.loads((cloud.folder / "machines" / "mlflow-vm.json").read_text())
    assert told["mlflow"]["host"] == "mlflow.trial.internal"
    assert told["buckets"]["artifacts"] == bucket("artifacts")


def names_of(value: Any) -> Any:
    """The names at any depth, without the values; of what has no names, nothing."""
    return {name: names_of(inner) for name, inner in value.items()} if isinstance(value, dict) else None


def test_what_terraform_puts_out_is_what_the_records_hold(cloud: CloudFixture, finished: object) -> None:
    raw = cloud.deployment.load("outputs", {})
    held = asdict(Outputs.parse(raw))
    del held["raw"]
    for name, part in held["cost_inputs"]["airflow"].items():
        if name != "worker":
            assert part.pop("max_count") is None
    assert names_of(held) == names_of(raw)


def test_code_is_in_its_buckets(cloud: CloudFixture, finished: object) -> None:
    there = cloud.buckets()
    release = there[bucket("jobs")][0].split("/")[0]
    names = {key.removeprefix(f"{release}/") for key in there[bucket("jobs")]}
    assert {"train.py", "prepare.py", "fraud_retraining.zip", "pins-2.1.txt", "pins-2.2.txt"} <= names
    assert {"dags/retrain.py", "dags/sweep.py", "dags/retraining/settings.json"} <= set(there[bucket("dags")])
    variable = json.loads(cloud.secret(VARIABLE)["value"])
    assert variable["release"] == release
    assert variable["jobs_bucket"] == bucket("jobs")


def test_the_dag_can_plan_a_run_with_what_it_was_told(cloud: CloudFixture, finished: object) -> None:
    told = json.loads(cloud.secret(VARIABLE)["value"])
    assert not [key for key in settings.REQUIRED if key not in told]
    spec = plan.cluster(told, "fraud-retrain-x", plan.Run("manual__1", datetime(2026, 1, 1, tzinfo=UTC)))
    outputs = cloud.deployment.load("outputs", {})
    assert spec["subnet_id"] == outputs["dataproc"]["subnet_id"]
    assert spec["security_group_ids"] == outputs["dataproc"]["security_group_ids"]
    assert spec["service_account_id"] == outputs["dataproc"]["service_account_id"]
    assert plan.limits(told["quality"]) == ["--max-quarantine=0.01", "--late-days=31"]
    scoring = plan.make_score(told, "http://mlflow", plan.Run("manual__1", datetime(2026, 1, 1, tzinfo=UTC)), "1")
    assert scoring["score"]["args"][-1] == "--budget=100"
    assert told["ripening"] == {"share": 0.95}
    assert told["budget"] == {"run": 0, "month": 0}
    assert told["prices"] == pricing.hour_of(outputs["cost_inputs"]["cluster"])
    assert told["promotion"] == {"mode": "automatic", "hours": 48}
    assert plan.run_name("manual__1", datetime(2026, 1, 1, tzinfo=UTC))


def test_passwords_went_from_secret_to_secret(cloud: CloudFixture, finished: object) -> None:
    connection = json.loads(cloud.secret(f"airflow/connections/{PREFIX}-mlflow")["value"])
    assert connection["password"] == cloud.secret(f"{PREFIX}-mlflow-airflow")["password"]
    assert connection["host"] == "mlflow.trial.internal"
    jobs = {"username": "trainer", "password": cloud.secret(f"{PREFIX}-mlflow-trainer")["password"], "ca": AUTHORITY}
    assert cloud.secret(f"jobs/{PREFIX}-mlflow") == jobs
    storage = json.loads(cloud.secret(f"airflow/connections/{PREFIX}-object_storage")["value"])
    assert storage["password"] == cloud.store.secrets["object_store_secret"]


def test_no_secret_in_arguments_output_or_files_of_others(
    cloud: CloudFixture, finished: tuple[str, set[bytes]]
) -> None:
    printed, lines = finished
    hidden = [value for value in cloud.passwords() if len(value) > 12 and value != AUTHORITY]
    hidden += [cloud.endpoint.private_key.splitlines()[1], "t1."]
    assert len(hidden) > 10
    assert any(b"terraform" in line for line in lines), "the watcher saw nothing"
    for value in hidden:
        assert value not in printed
        assert not [line for line in lines if value.encode() in line]
    hidden.remove("t1.")
    for path in (*cloud.state.rglob("*"), *(cloud.project / "inventory").rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            assert not [value for value in hidden if value.encode() in text], path
    assert stat.S_IMODE(cloud.state.stat().st_mode) == 0o700


def texts_of(value: Any) -> Iterator[str]:
    """Every text at any depth."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(inner)


def test_the_state_holds_one_secret_only(cloud: CloudFixture, finished: object) -> None:
    s3 = deploy.object_store(cloud.store)
    state = json.loads(s3.get_object(Bucket=bucket("tfstate"), Key="fraud-retraining.tfstate")["Body"].read())
    texts = set(texts_of(state))
    names = [name for name in lockbox.secrets_by_name(cloud.endpoint.sdk(), FOLDER) if name.startswith(f"{PREFIX}-")]
    inside = [name for name in names for value in cloud.secret(name).values() if value in texts]
    assert inside == [f"{PREFIX}-airflow-admin"]


def test_the_preflight_counts_what_the_configuration_says(cloud: CloudFixture, finished: object) -> None:
    """Two counts of one thing: the plan's resources by quota_needs.py, and Terraform's own output of quotas.tf."""
    outputs = cloud.deployment.load("outputs", {})
    if "quota_needs" not in outputs:
        pytest.skip("this module of Terraform puts out no quota_needs")
    s3 = deploy.object_store(cloud.store)
    state = json.loads(s3.get_object(Bucket=bucket("tfstate"), Key="fraud-retraining.tfstate")["Body"].read())
    made = [(each["type"], one["attributes"]) for each in state["resources"] for one in each["instances"]]
    for kind, attributes in made:
        if kind == "yandex_compute_instance":
            # Read back from the cloud, the disk stands here, too; a plan has it as the resource of its own that it is.
            attributes["boot_disk"][0]["initialize_params"] = []
    counted = quota_needs.of_plan([{"type": kind, "change": {"before": None, "after": it}} for kind, it in made])
    run = quota_needs.of_run(outputs["dataproc"])
    assert {quota: run[quota] for quota in outputs["quota_needs_of_a_run"]} == outputs["quota_needs_of_a_run"]
    counted.update(run)
    # Of the remote state, which is another module's.
    counted.update(
        ("iam.serviceAccounts.count", "iam.accessKeys.count", "lockbox.secrets.count", "storage.buckets.count")
    )
    said = outputs["quota_needs"]
    both = counted.keys() & said.keys()
    assert {"compute.ssdDisks.size", "vpc.securityGroups.count", "mdb.ssd.size", "managed-airflow.cpu.count"} <= both
    assert {quota: counted[quota] for quota in both} == {quota: said[quota] for quota in both}


def test_a_second_time_changes_nothing(cloud: CloudFixture, finished: object) -> None:
    def made() -> list[str]:
        return [kind for kind in cloud.calls() if not kind.startswith("data.")]

    calls, versions = made(), cloud.passwords()
    printed = cloud.bootstrap()
    assert "machines: skipped, done on" in printed
    assert "Terraform: everything is as the settings say" in printed
    assert (made(), cloud.passwords()) == (calls, versions)


@pytest.mark.verify
def test_a_choice_is_kept_until_another_one_is_made(cloud: CloudFixture, finished: object) -> None:
    """SCHEDULE, and what a person has set in the variable by hand: a bootstrap without options changes neither."""
    s3, sdk = deploy.object_store(cloud.store), cloud.endpoint.sdk()

    def beside() -> dict[str, str]:
        return json.loads(s3.get_object(Bucket=bucket("dags"), Key="dags/retraining/settings.json")["Body"].read())

    assert beside() == {"stack": PREFIX}
    status, printed = cloud.run("bootstrap", "--yes", "--schedule", "5 4 * * *")
    assert status == 0, printed
    told = json.loads(cloud.secret(VARIABLE)["value"]) | {"monitor": {"max_psi": 0.5}}
    known = lockbox.secrets_by_name(sdk, FOLDER)
    lockbox.put_secret(sdk, FOLDER, known, VARIABLE, {"value": json.dumps(told, sort_keys=True)})
    passwords, calls = cloud.passwords(), [kind for kind in cloud.calls() if not kind.startswith("data.")]
    printed = cloud.bootstrap()
    assert "Terraform: everything is as the settings say" in printed
    assert "schedule: 5 4 * * *" in printed
    assert beside() == {"schedule": "5 4 * * *", "stack": PREFIX}
    assert cloud.passwords() == passwords
    assert [kind for kind in cloud.calls() if not kind.startswith("data.")] == calls
    assert settings_of(cloud)["monitor"] == {"max_psi": 0.5}


def settings_of(cloud: CloudFixture) -> dict[str, Any]:
    return dict(json.loads(cloud.secret(VARIABLE)["value"]))


def test_nobody_has_to_update_the_hosts_of_the_database_again(cloud: CloudFixture, finished: object) -> None:
    assert [method for method in cloud.methods() if method.endswith("/UpdateHosts")] == []


@pytest.mark.verify
def test_what_the_service_has_moved_is_no_change_and_an_open_door_is(cloud: CloudFixture, finished: object) -> None:
    everybody = {"protocol": "ANY", "v4_cidr_blocks": ["0.0.0.0/0"], "description": "by hand"}
    rule = dict.fromkeys(RULE) | everybody | {"id": "by-hand", "labels": {}}
    moved = {"yandex_airflow_cluster": {f"{PREFIX}-airflow": {"airflow_version": "3.9", "python_version": "3.14"}}}
    cloud.by_hand(**moved)
    assert "Terraform: everything is as the settings say" in cloud.bootstrap()
    for group in ("dataproc", "mlflow", "airflow"):
        cloud.by_hand(**moved, yandex_vpc_security_group={f"{PREFIX}-{group}": {"ingress": [rule], "egress": [rule]}})
        status, printed = cloud.run("bootstrap", answer="n\n")
        assert status == 1
        assert "1 to update. Make it so?" in printed
    cloud.by_hand()


def test_what_the_cloud_has_and_the_state_does_not_is_said_before_apply(cloud: CloudFixture, finished: object) -> None:
    """An address that an apply has made without seeing its end: `create` again would be refused."""
    sdk = cloud.endpoint.sdk()
    stub, name = sdk.client(AddressServiceStub), f"{PREFIX}-mlflow"
    made = result(sdk, stub.Create(CreateAddressRequest(folder_id=FOLDER, name=name)), address_pb2.Address)
    cloud.settings("mlflow = { public = true }\n")
    before = cloud.calls()
    status, printed = cloud.run("bootstrap", "--yes")
    finished_operation(sdk, stub.Delete(DeleteAddressRequest(address_id=made.id)))
    cloud.settings()
    assert status == 1, printed
    assert f"make bootstrap IMPORT='yandex_vpc_address.public[\"mlflow\"]={made.id}'" in printed
    assert [kind for kind in cloud.calls()[len(before) :] if not kind.startswith("data.")] == [], "nothing was made"


@pytest.mark.verify
def test_a_changed_setting_is_planned_and_the_machines_are_set_up_again(cloud: CloudFixture, finished: object) -> None:
    before = cloud.calls().count("yandex_vpc_address")
    cloud.settings("mlflow = { public = true }\n")
    status, printed = cloud.run("bootstrap", answer="y\n")
    assert status == 0, printed
    assert "Make it so?" in printed
    assert "machines: skipped" not in printed
    assert cloud.calls().count("yandex_vpc_address") == before + 1
    cloud.settings()
    cloud.bootstrap()
    assert cloud.calls().count("yandex_vpc_address") == before + 2, (
        "the machine has let go of the address, then it was deleted"
    )


def test_a_failing_apply_says_how_to_go_on(cloud: CloudFixture, finished: object) -> None:
    cloud.settings('mlflow = { public = true }\nairflow = { connections = ["alert_telegram"] }\n')
    cloud.trouble(yandex_lockbox_secret="the quota of secrets is used up")
    status, printed = cloud.run("bootstrap", "--yes")
    cloud.trouble()
    assert status == 1
    assert "the quota of secrets is used up" in printed
    assert "run the same command again; it goes on" in printed
    assert "Traceback" not in printed


def test_a_destroy_that_is_refused_leaves_what_opens_that_which_stays(
    cloud: CloudFixture, finished: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`terraform destroy` by hand, with everything protected: no password, and no key to what is encrypted, is gone."""
    names = [name for name in lockbox.secrets_by_name(cloud.endpoint.sdk(), FOLDER) if name.startswith(f"{PREFIX}-")]
    before = {name: cloud.secret(name) for name in names}
    assert f"{PREFIX}-database" in before
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    deployment = Deployment(cloud.state, cloud.project)
    account = Account.find()
    module = main_module(deployment, account, remote_state(deployment, account, yes=True), {})
    with pytest.raises(StackError, match=r"`terraform destroy` .* ended with status 1"):
        module.destroy()
    assert {name: cloud.secret(name) for name in names} == before
    cloud.bootstrap()
    assert {name: cloud.secret(name) for name in names} == before


def test_the_cost_is_of_what_was_built(cloud: CloudFixture, finished: object) -> None:
    cloud.settings("mlflow = { public = true }\n")
    cloud.bootstrap()
    status, printed = cloud.run("cost", YC_ENDPOINT="127.0.0.1:1")  # it asks no cloud
    assert status == 0, printed
    assert "Cost of what was built" in printed
    assert "from the internet" in printed  # the public address
