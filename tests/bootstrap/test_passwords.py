"""New passwords: `make rotate` makes them, and whoever needs one has it afterwards."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stack.cloud import leftovers, machines, rotate
from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.leftovers import Leftover
from stack.cloud.outputs import Outputs
from stack.cloud.settings import Settings
from stack.common.errors import StackError
from tests.bootstrap.cloud_fixture import AUTHORITY, PREFIX, CloudFixture
from tests.bootstrap.test_inventory import OUTPUTS
from tests.support.cloud import FOLDER

NEXT = AUTHORITY.replace("of MLflow", "of the same machine, made anew")
ACCOUNTS = ("admin", "trainer", "airflow", "viewer", "session")


@pytest.fixture(scope="module")
def next_authority(cloud: CloudFixture, finished: object) -> Iterator[None]:
    """What the machine will have, and in the end the one that the other tests know."""
    marks = cloud.folder / "machines"
    (marks / "next-ca.crt").write_text(NEXT)
    yield
    (marks / "next-ca.crt").write_text(AUTHORITY)
    assert cloud.run("rotate", "--yes")[0] == 0


def passwords(cloud: CloudFixture) -> dict[str, str]:
    return {name: cloud.secret(f"{PREFIX}-mlflow-{name}")["password"] for name in ACCOUNTS}


def handed_over(cloud: CloudFixture) -> dict[str, str]:
    """What Airflow and the jobs log in with, and whom they trust."""
    airflow, jobs = (
        json.loads(cloud.secret(f"airflow/connections/{PREFIX}-mlflow")["value"]),
        cloud.secret(f"jobs/{PREFIX}-mlflow"),
    )
    assert airflow["extra"]["ca"].strip() == jobs["ca"].strip()
    return {"airflow": airflow["password"], "trainer": jobs["password"], "ca": jobs["ca"].strip()}


@pytest.mark.verify
def test_machines_take_them_up_and_then_airflow_and_the_jobs(cloud: CloudFixture, next_authority: None) -> None:
    before, release = passwords(cloud), cloud.secret(f"airflow/variables/{PREFIX}-fraud_retraining")
    # The machines do not take them up: Airflow and the jobs keep what still opens.
    playbook = cloud.project / "ansible/playbooks/rotate.yml"
    whole = playbook.read_text()
    playbook.write_text(whole.replace("next-ca", "no-such-ca"))
    status, printed = cloud.run("rotate", "--yes")
    playbook.write_text(whole)
    assert status == 1, printed
    made = passwords(cloud)
    assert not set(made.values()) & set(before.values())
    held = handed_over(cloud)
    assert (held["airflow"], held["trainer"]) == (before["airflow"], before["trainer"])
    # The same command goes on: it makes no others.
    status, printed = cloud.run("rotate", "--yes")
    assert status == 0, printed
    assert passwords(cloud) == made
    assert handed_over(cloud) == {"airflow": made["airflow"], "trainer": made["trainer"], "ca": NEXT.strip()}
    assert cloud.secret(f"airflow/variables/{PREFIX}-fraud_retraining") == release
    assert not [value for value in made.values() if value in printed]
    # And the next one makes new ones again.
    assert cloud.run("rotate", "--yes")[0] == 0
    assert not set(passwords(cloud).values()) & set(made.values())


def test_nothing_is_rotated_where_nothing_was_made(untouched: CloudFixture) -> None:
    status, printed = untouched.run("rotate", "--yes")
    assert status == 1
    assert "`make bootstrap` makes one" in printed


def test_a_run_under_way_is_waited_for(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its jobs hold the password they began with."""
    monkeypatch.setattr(leftovers, "ours", lambda *_: [Leftover("Data Proc cluster", "fraud-retrain-1", "id-1")])
    monkeypatch.setattr(rotate, "read_settings", lambda _: Settings(FOLDER, PREFIX))
    account = Account("a test", "t1.x.y")
    with pytest.raises(StackError, match=r"A run is under way \(Data Proc cluster fraud-retrain-1 .*FORCE=1"):
        rotate.refuse_during_a_run(deployment, account)
    rotate.refuse_during_a_run(replace(deployment, force=True), account)


def test_another_machine_says_anew_who_it_is(deployment: Deployment) -> None:
    """Whoever made it: it has another id, and so another host key and another authority."""
    known = deployment.folder / "known_hosts"
    outputs = Outputs.parse(OUTPUTS)
    deployment.save("instances", machines.instances(outputs))
    known.write_text("mlflow ssh-ed25519 AAAA\n")
    assert not machines.forget_former_machines(deployment, outputs)
    assert known.exists()
    other = Outputs.parse(OUTPUTS | {"mlflow": OUTPUTS["mlflow"] | {"instance_id": "id-another"}})
    assert not machines.forget_former_machines(deployment, other)
    assert not known.exists()
    deployment.save("instances", [outputs.mlflow.instance_id, None])
    own = Outputs.parse(OUTPUTS | {"database": OUTPUTS["database"] | {"instance_id": "id-database"}})
    assert machines.forget_former_machines(deployment, own), "the way to it leads through a machine that was set up"
