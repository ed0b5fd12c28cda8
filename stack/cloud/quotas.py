"""Whether what is planned, and a run besides, fits into the cloud's quotas: asked before anything is made."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from yandex.cloud.quotamanager.v1.quota_limit_service_pb2 import ListQuotaLimitsRequest
from yandex.cloud.quotamanager.v1.quota_limit_service_pb2_grpc import QuotaLimitServiceStub
from yandex.cloud.quotamanager.v1.resource_pb2 import Resource
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import GetFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from dags.retraining import clusters
from stack.cloud.price_list import GIB
from stack.cloud.quota_needs import Needs
from stack.cloud.settings import Settings
from stack.common.console import say
from stack.common.errors import StackError

CLOUD = "resource-manager.cloud"  # quotas are of the cloud, for all its folders together
UNREACHABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED)
CONSOLE = "https://console.yandex.cloud/cloud?section=quotas"


@dataclass(frozen=True)
class Quota:
    """One quota of the cloud: how much there may be and how much there is; bytes or pieces."""

    limit: float
    usage: float

    @property
    def free(self) -> float:
        return self.limit - self.usage


@dataclass(frozen=True)
class Shortage:
    """A quota that does not suffice: for what is to stand, or for that and a run."""

    quota: str
    stands: float
    run: float
    there: Quota

    @property
    def wanted(self) -> float:
        """What the quota would have to be."""
        return self.there.usage + self.stands + self.run

    def __str__(self) -> str:
        return (
            f"{self.quota}: {amount(self.quota, self.stands + self.run)} are needed "
            f"({amount(self.quota, self.stands)} for what is to stand, {amount(self.quota, self.run)} for a run), and "
            f"of {amount(self.quota, self.there.limit)} {amount(self.quota, self.there.free)} are free"
        )


def amount(quota: str, number: float) -> str:
    return f"{number / GIB:g} GiB" if quota.endswith(".size") else f"{number:g}"


def require_quotas(sdk: Any, settings: Settings, stands: Needs, run: Needs, insist: bool) -> None:
    """Compares what is to stand, and one run besides, with what is free.

    Args:
        insist: say what is short, and go on.

    Raises:
        StackError: something is short; with how much, and the command that asks for more.
    """
    needed = Counter(stands)
    needed.update(run)
    wanted = sorted(quota for quota, each in needed.items() if each > 0)
    text = ", ".join(f"{quota} {amount(quota, needed[quota])}" for quota in wanted)
    cloud = sdk.client(FolderServiceStub).Get(GetFolderRequest(folder_id=settings.folder_id), timeout=30).cloud_id
    known, refused = ask_all(sdk, cloud, sorted({quota.partition(".")[0] for quota in wanted}))
    unknown = [quota for quota in wanted if quota not in known]
    if refused:
        say(
            f"  quotas: could not be asked ({refused}). Free must be, a run's cluster included: {text}. The account "
            "needs the role quota-manager.viewer on the cloud; by hand: `yc quota-manager quota-limit list --service "
            f"compute --resource-type {CLOUD} --resource-id {cloud}`, or {CONSOLE}"
        )
    elif unknown:
        say(f"  quotas: the service does not tell of {', '.join(unknown)}; needed are {text}")
    short = list(shortages(known, stands, without_live_runs(sdk, settings, run)))
    if not short:
        if not refused and not unknown:
            say("  quotas: enough for this and for a run")
        return
    message = message_of(short, cloud)
    if not insist:
        raise StackError(f"{message} Nothing was made. FORCE=1 goes on all the same.")
    say(f"  {message} FORCE=1: going on")


def ask_all(sdk: Any, cloud: str, services: list[str]) -> tuple[dict[str, Quota], str]:
    """(the quotas of these services, why some could not be had or "")."""
    known: dict[str, Quota] = {}
    refused = []
    for service in services:
        try:
            known |= ask(sdk, cloud, service)
        except RuntimeError as problem:  # the SDK: this cloud has no service of quotas
            return known, str(problem)
        except grpc.RpcError as problem:
            refused.append(f"{service}: {problem.code().name}, {problem.details()}")
            if problem.code() in UNREACHABLE:  # nor will it answer for the others
                break
    return known, "; ".join(refused)


def ask(sdk: Any, cloud: str, service: str) -> dict[str, Quota]:
    """A service's quotas in this cloud; one without a limit is left out."""
    stub, found = sdk.client(QuotaLimitServiceStub), {}
    request = ListQuotaLimitsRequest(resource=Resource(id=cloud, type=CLOUD), service=service, page_size=1000)
    while True:
        page = stub.List(request, timeout=30)
        for each in page.quota_limits:
            if each.HasField("limit"):
                found[each.quota_id] = Quota(each.limit.value, each.usage.value)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def without_live_runs(sdk: Any, settings: Settings, run: Needs) -> Needs:
    """A run's needs; none while a run's cluster is alive, for what is in use counts it already."""
    try:
        alive = clusters.everything(sdk, settings.folder_id)
        return Counter() if any(clusters.is_ours(each, settings.logs_bucket) for each in alive) else run
    except grpc.RpcError:
        return run


def shortages(known: dict[str, Quota], stands: Needs, run: Needs) -> Iterator[Shortage]:
    for quota, there in sorted(known.items()):
        if (stands[quota] > 0 or run[quota] > 0) and stands[quota] + run[quota] > there.free:
            yield Shortage(quota, stands[quota], run[quota], there)


def message_of(short: list[Shortage], cloud: str) -> str:
    wishes = " ".join(f"--desired-limit quota-id={each.quota},value={each.wanted:.0f}" for each in short)
    return (
        f"The cloud's quotas do not suffice. {'; '.join(map(str, short))}. Take less in terraform.tfvars (dataproc's "
        "hosts, presets and disks are a run's), or ask for more: "
        f"`yc quota-manager quota-request create --resource-type {CLOUD} --resource-id {cloud} {wishes}`, or "
        f"{CONSOLE}."
    )
