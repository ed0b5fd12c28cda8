"""`make pause` and `make resume`: stops what is paid for by the hour while nobody retrains, and starts it again.

Everything stays: disks, buckets, addresses, secrets. The cloud itself is asked what runs, so that an interrupted call,
a call that is repeated and a hand in the console all end the same way.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from stack.cloud import inventory, leftovers, neighbours
from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.machines import await_machines
from stack.cloud.outputs import CostInputs, Outputs
from stack.cloud.price_list import PRICES, standing
from stack.cloud.readiness import log_in
from stack.cloud.settings import Settings, read_settings
from stack.cloud.way_in import read_way_in
from stack.common.console import confirm, say, step
from stack.common.errors import StackError
from stack.common.files import exclusive

# In the order in which they stop: who asks another one goes first. They start in the opposite order.
KINDS = ("Airflow cluster", "machine", "PostgreSQL cluster")
TIMEOUT = 1800  # seconds, of one of them


@dataclass(frozen=True)
class Part:
    """Something of ours that can be stopped, with its status in the cloud's word, such as RUNNING."""

    kind: str
    name: str
    id: str
    status: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def parts(sdk: Any, settings: Settings) -> list[Part]:
    """What can be stopped, in the order in which it stops; of the machines the database comes last."""
    found = [
        Part(kind, each.name, each.id, type(each).Status.Name(each.status))
        for kind in KINDS
        for each in leftovers.listed(sdk, settings.folder_id, kind)
        if leftovers.stack_of(kind, each, settings) == settings.prefix
    ]
    return sorted(found, key=lambda part: (KINDS.index(part.kind), part.name.endswith("database")))


def change(sdk: Any, part: Part, verb: str) -> None:
    """Stop or Start, until it is done."""
    package, noun = leftovers.KINDS[part.kind]
    base = f"yandex.cloud.{package}.v1.{noun}_service"
    request = getattr(importlib.import_module(f"{base}_pb2"), f"{verb}{noun.title()}Request")(**{f"{noun}_id": part.id})
    stub = sdk.client(getattr(importlib.import_module(f"{base}_pb2_grpc"), f"{noun.title()}ServiceStub"))
    with step(f"{verb.lower()}: {part}"):
        sdk.wait_operation_and_get_result(getattr(stub, verb)(request), timeout=TIMEOUT)


def pause(deployment: Deployment, yes: bool) -> None:
    """Raises StackError if nothing was made from here, or a run is under way: its cluster would have no keeper."""
    outputs = Outputs.kept(deployment)
    with exclusive(deployment, "make pause", "CLOUD"):
        account, settings = begin(deployment)
        refuse_during_a_run(account, settings)
        running = [part for part in parts(account.sdk(), settings) if part.status != "STOPPED"]
        if running:
            confirm(
                f"Stop {', '.join(map(str, running))}? Nothing retrains, scores or answers until `make resume`.", yes
            )
        for part in running:
            change(account.sdk(), part, "Stop")
            if part.kind == "Airflow cluster":
                give_back_if_a_run_began(account, settings, part)
    say(f"paused; {amounts(outputs.cost_inputs)}")
    say("`make resume` starts it again; `make destroy` removes it for good")


def resume(deployment: Deployment) -> None:
    """Raises StackError if nothing was made from here, or MLflow does not answer afterwards."""
    outputs = Outputs.kept(deployment)
    with exclusive(deployment, "make resume", "CLOUD"):
        account, settings = begin(deployment, reach=True)
        start(account.sdk(), settings, *KINDS[1:])
        with step("machines, and MLflow on them"):
            inventory.write(deployment, outputs, read_way_in(deployment))
            await_machines(deployment)
        start(account.sdk(), settings, KINDS[0])
    say("it runs again. Each DAG makes up for what it missed with one run, for the newest of its dates")


def start(sdk: Any, settings: Settings, *kinds: str) -> None:
    """Starts what is stopped, of these kinds."""
    for part in reversed(parts(sdk, settings)):
        if part.status == "STOPPED" and part.kind in kinds:
            change(sdk, part, "Start")


def begin(deployment: Deployment, reach: bool = False) -> tuple[Account, Settings]:
    account = log_in(deployment, reach)
    neighbours.require_same(deployment)
    return account, read_settings(deployment)


def refuse_during_a_run(account: Account, settings: Settings) -> None:
    if live := leftovers.ours(account.sdk(), settings, "Data Proc cluster"):
        raise StackError(
            f"A run is under way ({', '.join(map(str, live))}): without Airflow nobody would delete its cluster, which "
            "is paid for. Wait until the run has ended, or end it in Airflow's UI, then run this again."
        )


def give_back_if_a_run_began(account: Account, settings: Settings, airflow: Part) -> None:
    """A run that began while Airflow was stopping has left a cluster that only Airflow will delete.

    Raises:
        StackError: so it was; Airflow runs again.
    """
    try:
        refuse_during_a_run(account, settings)
    except StackError:
        change(account.sdk(), airflow, "Start")
        raise


def require_running(account: Account, settings: Settings) -> None:
    """Raises StackError if the deployment is paused: what is stopped can be neither changed nor asked."""
    if stopped := [str(part) for part in parts(account.sdk(), settings) if part.status == "STOPPED"]:
        raise StackError(f"It is paused ({', '.join(stopped)} stopped). `make resume` starts it; then run this again.")


def amounts(sizes: CostInputs) -> str:
    """What stands while it is paused, and what that saves, as a sentence."""
    lines = list(standing(sizes))
    rest, saved = (sum(each.amount or 0 for each in lines if each.hourly is hourly) for hourly in (False, True))
    unknown = sorted({each.item for each in lines if each.amount is None and not each.hourly})
    return (
        f"{rest:,.2f} {PRICES['currency']} a month stand all the same, besides what has no known price "
        f"({', '.join(unknown) or 'nothing'}) and what lies in buckets; saved are {saved:,.2f} a month and more"
    )
