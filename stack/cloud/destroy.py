"""`make destroy`: removes everything in the right order, then asks the cloud what is left.

What Terraform did not make goes first, since it stands in the way: clusters, snapshots, what is in buckets. What is
protected loses its protection on purpose. The remote state goes last, for everything else needs it.
"""

import shutil
from dataclasses import dataclass
from typing import Any

from yandex.cloud.compute.v1.snapshot_service_pb2 import DeleteSnapshotRequest
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub

from dags.retraining import clusters
from stack.cloud import bootstrap, buckets, leftovers, readiness
from stack.cloud.account import Account
from stack.cloud.leftovers import ours
from stack.cloud.site import Site
from stack.cloud.terraform import Terraform
from stack.common.console import console, say, step
from stack.common.errors import StackError
from stack.common.files import alone


@dataclass(frozen=True)
class Place:
    """The folder that is cleared, in the name of the operator."""

    account: Account
    folder_id: str
    prefix: str

    def ours(self, *kinds: str) -> list[leftovers.Leftover]:
        return ours(self.account.sdk(), self.folder_id, self.prefix, *kinds)


def destroy(site: Site, yes: bool) -> None:
    if not site.folder.exists():
        raise StackError(f"{site.folder} does not exist: nothing was made from here. CLOUD=… names another folder.")
    with alone(site, "make destroy", "CLOUD"):
        account = bootstrap.ready(site)
        place = Place(account, **readiness.require_settings(site))
        found = place.ours()
        for each in found:
            say(f"  {each}")
        question = f"Remove these {len(found)}, with the lake, the models and all other data in them, for good?"
        bootstrap.confirm(question, yes)
        if site.load("remote-state", None):
            remove(site, place)
        say_what_is_left(place)
    shutil.rmtree(site.folder)
    site.inventory.unlink(missing_ok=True)


def remove(site: Site, place: Place) -> None:
    site.forget("machines")
    bucket = site.load("remote-state", {})["bucket"]
    site.once(bootstrap.REMOVAL, [], lambda: remove_main(site, place))
    site.forget("remote state")
    with step("remote state"):
        buckets.empty(place.account.object_store(), bucket)
        module = bootstrap.state_module(site, place.account)
        module.init()
        lift_protection(module)
        module.destroy()
        site.save("remote-state", None)


def remove_main(site: Site, place: Place) -> None:
    """Everything but the remote state."""
    remote = bootstrap.remote_state(site, place.account, yes=True)
    with step("clusters of runs"):
        delete_clusters(place)
    with step("contents of buckets"):
        for bucket in filter(None, site.load("outputs", {}).get("buckets", {}).values()):
            buckets.empty(place.account.object_store(), bucket)
    with step("Terraform: destroy"):
        passwords = bootstrap.passwords(place.account, {"folder_id": place.folder_id, "prefix": place.prefix})
        module = bootstrap.main_module(site, place.account, remote, passwords)
        lift_protection(module)
        try:
            module.destroy()
        except StackError:
            # A run that was under way may have made a cluster in the meantime; it holds the network.
            if not delete_clusters(place):
                raise
            module.destroy()
    with step("what Terraform did not make"):
        delete_snapshots(place)


def delete_clusters(place: Place) -> int:
    """Deletes every cluster of our runs, in use or not; returns how many there were."""
    sdk = place.account.sdk()
    runs = filter(clusters.is_ours, clusters.everything(sdk, place.folder_id))
    mine = [each for each in runs if leftovers.is_ours(each, place.prefix)]
    for cluster in mine:
        say(f"  deleting the cluster {cluster.name} ({cluster.id})")
        clusters.delete(sdk, cluster.id)
    return len(mine)


def lift_protection(module: Terraform) -> None:
    """Applies `protect = false` to what the state has as protected, and to nothing else: nothing is made anew."""
    protected = [each["address"] for each in module.resources() if is_protected(each["values"])]
    if protected:
        say(f"  lifting the protection of {', '.join(protected)}")
        targets = [f"-target={address}" for address in protected]
        module.run("apply", "-auto-approve", "-compact-warnings", *module.options, "-var=protect=false", *targets)


def is_protected(values: dict[str, Any]) -> bool:
    """Whether the cloud refuses to delete a resource, or Terraform a bucket that has something in it."""
    return values.get("deletion_protection") in (True, "true") or values.get("force_destroy") is False


def delete_snapshots(place: Place) -> None:
    """Snapshots outlive their disks and their schedule. Only those that the schedule has labelled."""
    sdk = place.account.sdk()
    for each in leftovers.everything(sdk, place.folder_id, "snapshot"):
        if each.labels.get("stack") != place.prefix:
            continue
        say(f"  deleting the snapshot {each.name} ({each.id})")
        operation = sdk.client(SnapshotServiceStub).Delete(DeleteSnapshotRequest(snapshot_id=each.id))
        sdk.wait_operation_and_get_result(operation)


def say_what_is_left(place: Place) -> None:
    """Raises StackError where the cloud still has something of ours."""
    left = place.ours()
    console.print(f"\nLeft in the folder {place.folder_id}: [bold]{', '.join(map(str, left)) or 'nothing'}[/]")
    if left:
        raise StackError(
            f"{len(left)} things of ours are left. Run `make destroy` again; what it cannot remove, remove by hand: "
            f"https://console.yandex.cloud/folders/{place.folder_id}"
        )
