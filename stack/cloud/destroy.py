"""`make destroy`: removes everything in the right order, then asks the cloud what is left.

What Terraform did not make goes first, since it stands in the way: clusters, snapshots, what is in buckets. What is
protected loses its protection on purpose. The remote state goes last, for everything else needs it.
"""

import shutil
from dataclasses import dataclass

from yandex.cloud.compute.v1.snapshot_service_pb2 import DeleteSnapshotRequest
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub

from dags.retraining import clusters
from stack.cloud import buckets, leftovers, neighbours, pause, registry
from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.infrastructure import REMOVAL, main_module, passwords
from stack.cloud.protection import lift_protection
from stack.cloud.readiness import log_in
from stack.cloud.remote_state import remote_state, state_module
from stack.cloud.settings import Settings, read_settings
from stack.common.console import confirm, console, say, step
from stack.common.errors import StackError
from stack.common.files import exclusive

PROTECTED = ("PostgreSQL cluster", "Airflow cluster")  # what can be stopped and has a protection to lift


@dataclass(frozen=True)
class CloudFolder:
    """The folder of the cloud from which ours is taken, in the name of the operator."""

    account: Account
    settings: Settings

    def ours(self, *kinds: str) -> list[leftovers.Leftover]:
        return leftovers.ours(self.account.sdk(), self.settings, *kinds)


def destroy(deployment: Deployment, yes: bool) -> None:
    if not deployment.exists:
        raise StackError(
            f"{deployment.folder} holds no deployment: nothing was made from here. CLOUD=… names another folder."
        )
    with exclusive(deployment, "make destroy", "CLOUD"):
        registry.choose(deployment)
        account = log_in(deployment)
        neighbours.require_same(deployment)
        target = CloudFolder(account, read_settings(deployment))
        found = target.ours()
        for each in found:
            say(f"  {each}")
        question = f"Remove these {len(found)}, with the lake, the models and all other data in them, for good?"
        confirm(question, yes)
        if deployment.load("remote-state", None):
            remove(deployment, target)
        say_what_is_left(target)
    shutil.rmtree(deployment.folder)
    deployment.inventory.unlink(missing_ok=True)


def remove(deployment: Deployment, target: CloudFolder) -> None:
    deployment.forget("machines")
    bucket = deployment.load("remote-state", {})["bucket"]
    deployment.run_step(REMOVAL, [], lambda: remove_main(deployment, target))
    deployment.forget("remote state")
    with step("remote state"):
        buckets.empty(target.account.object_store(), bucket)
        module = state_module(deployment, target.account)
        module.init()
        lift_protection(module)
        module.destroy()
        deployment.save("remote-state", None)


def remove_main(deployment: Deployment, target: CloudFolder) -> None:
    """Everything but the remote state."""
    remote = remote_state(deployment, target.account, yes=True)
    # Of what is stopped the cloud takes no change, and so no protection either.
    pause.start(target.account.sdk(), target.settings, *PROTECTED)
    with step("clusters of runs"):
        delete_clusters(target)
    with step("contents of buckets"):
        for bucket in filter(None, deployment.load("outputs", {}).get("buckets", {}).values()):
            buckets.empty(target.account.object_store(), bucket)
    with step("Terraform: destroy"):
        module = main_module(deployment, target.account, remote, passwords(target.account, target.settings))
        lift_protection(module)
        try:
            module.destroy()
        except StackError:
            # A run that was under way may have made a cluster in the meantime; it holds the network.
            if not delete_clusters(target):
                raise
            module.destroy()
    with step("what Terraform did not make"):
        delete_snapshots(target)


def delete_clusters(target: CloudFolder) -> int:
    """Deletes every cluster of our runs, in use or not; returns how many there were."""
    sdk = target.account.sdk()
    everybody = clusters.everything(sdk, target.settings.folder_id)
    mine = [each for each in everybody if clusters.is_ours(each, target.settings.logs_bucket)]
    for cluster in mine:
        say(f"  deleting the cluster {cluster.name} ({cluster.id})")
        clusters.delete(sdk, cluster.id)
    return len(mine)


def delete_snapshots(target: CloudFolder) -> None:
    """Snapshots outlive their disks and their schedule. Only those that the schedule has labelled."""
    sdk = target.account.sdk()
    for each in leftovers.everything(sdk, target.settings.folder_id, "snapshot"):
        if each.labels.get("stack") != target.settings.prefix:
            continue
        say(f"  deleting the snapshot {each.name} ({each.id})")
        operation = sdk.client(SnapshotServiceStub).Delete(DeleteSnapshotRequest(snapshot_id=each.id))
        sdk.wait_operation_and_get_result(operation)


def say_what_is_left(target: CloudFolder) -> None:
    """Raises StackError if the cloud still has something of ours."""
    left = target.ours()
    console.print(
        f"\nLeft in the folder {target.settings.folder_id}: [bold]{', '.join(map(str, left)) or 'nothing'}[/]"
    )
    if left:
        raise StackError(
            f"{len(left)} things of ours are left. Run `make destroy` again. What it cannot remove and has the label "
            f"stack={target.settings.prefix} is ours to remove by hand; what is ours by its name alone may be somebody "
            f"else's, so ask first: https://console.yandex.cloud/folders/{target.settings.folder_id}"
        )
