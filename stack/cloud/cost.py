"""`make cost`: what the configured stack costs per month and per retrain, at list prices.

The sizes come from Terraform's output `cost_inputs`: of what was built, or, before that, of the configuration itself,
which real Terraform then plans against a mocked provider: no account is needed.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from local_cloud import pricing
from local_cloud.pricing import Hosts
from stack.cloud.readiness import require_terraform
from stack.cloud.site import Site
from stack.cloud.terraform import QUIET
from stack.common.console import console, say
from stack.common.errors import StackError

MINUTES, RUNS = 30.0, 4.3  # of one retrain, which nobody has measured in the cloud yet; weekly runs in a month
GIB = 1 << 30
PRICES: dict[str, Any] = json.loads((Path(__file__).parent / "prices.json").read_text())
MOCKED = """mock_provider "yandex" {}
variables {
  folder_id              = "b1g00000000000000000"
  operator_cidrs         = ["198.51.100.7/32"]
  ssh                    = { os_login = true }
  database_password      = "of no use"
  airflow_admin_password = "of no use"
}
run "plan" {
  command = plan
}
"""


# ------------------------------------------------------------------------------------------------ sizes
def inputs(site: Site) -> tuple[str, dict[str, Any]]:
    """(what they are of, Terraform's `cost_inputs`)."""
    built = site.load("outputs", {})
    if "cost_inputs" in built:
        return "what was built", built["cost_inputs"]
    with tempfile.TemporaryDirectory() as folder:
        return "the configuration, nothing is built yet", plan(site, Path(folder) / "terraform")


def plan(site: Site, copy: Path) -> dict[str, Any]:
    """`cost_inputs` of the configuration, planned by `terraform test` in a copy of the module.

    Raises:
        StackError: Terraform refuses the configuration; with its message.
    """
    require_terraform()
    copy.mkdir()
    for file in site.terraform.iterdir():
        if file.is_file():
            shutil.copy(file, copy)
    for neighbour in site.project.iterdir():  # the module reads requirements/
        if neighbour.name != copy.name:
            (copy.parent / neighbour.name).symlink_to(neighbour)
    (copy / "tests").mkdir()
    (copy / "tests" / "cost.tftest.hcl").write_text(MOCKED)
    data = site.folder / "terraform" / "cost"  # keeps the provider
    data.mkdir(parents=True, exist_ok=True)
    environment = os.environ | QUIET | {"TF_DATA_DIR": str(data.resolve())}
    run = ["terraform", f"-chdir={copy}"]
    begun = subprocess.run([*run, "init", "-backend=false"], env=environment, capture_output=True, text=True)
    if begun.returncode:
        raise StackError(f"`terraform init` of a copy of {site.terraform} failed:\n{begun.stderr.strip()[-1500:]}")
    tested = subprocess.run([*run, "test", "-json", "-verbose"], env=environment, capture_output=True, text=True)
    events = [json.loads(line) for line in tested.stdout.splitlines()]
    for event in events:
        if event["type"] == "test_plan":
            return dict(event["test_plan"]["output_changes"]["cost_inputs"]["after"])
    problems = [event["diagnostic"] for event in events if event["type"] == "diagnostic"]
    text = "\n".join(f"{each['summary']}: {each['detail']}" for each in problems if each["severity"] == "error")
    raise StackError(f"Terraform refuses the configuration in {site.terraform}:\n{text or tested.stderr[-1500:]}")


# ------------------------------------------------------------------------------------------------ lines
@dataclass(frozen=True)
class Line:
    """Something that is paid for; `amount` is None where an item has no known price."""

    what: str
    item: str
    quantity: float
    amount: float | None
    source: str


def line(what: str, item: str, quantity: float) -> Line:
    """So many of an item of the price lists, for a month; an item that is on neither has no known price."""
    ours = item in PRICES["prices"]
    book = PRICES if ours else pricing.PRICES
    entry = book["prices"].get(item, {"per": "month", "price": None, "source": None})
    hours = pricing.PRICES["hours_per_month"] if entry["per"] == "hour" else 1
    amount = None if entry["price"] is None else quantity * hours * entry["price"]
    return Line(what, item, quantity, amount, entry["source"] or "-")


def size_of(preset: str) -> tuple[int, int]:
    """(vCPU, GiB of memory) of a preset such as `c1-m4` or `s3-c2-m8`, or of an older one by its name."""
    if named := re.search(r"c(\d+)-m(\d+)$", preset):
        return int(named[1]), int(named[2])
    known = pricing.PRESETS[preset]
    return known["vcpu"], known["ram_gb"]


def standing(sizes: dict[str, Any]) -> Iterator[Line]:
    """What is paid for every month, whether or not anything runs."""
    for name, part in (sizes["airflow"] or {}).items():
        vcpu, memory = size_of(part["preset"])
        yield line(f"Airflow {name}", "Airflow vCPU", part["count"] * vcpu)
        yield line(f"Airflow {name}", "Airflow RAM GB", part["count"] * memory)
    if database := sizes["database"]:
        vcpu, memory = size_of(database["preset"])
        platform = pricing.PRESETS.get(database["preset"], {"platform": "unknown platform"})["platform"]
        yield line("PostgreSQL", f"PostgreSQL {platform} vCPU", database["hosts"] * vcpu)
        yield line("PostgreSQL", f"PostgreSQL {platform} RAM GB", database["hosts"] * memory)
        yield line("PostgreSQL", f"PostgreSQL {database['disk_type']} GB", database["hosts"] * database["disk_gib"])
    for name, machine in sizes["machines"].items():
        yield line(f"machine {name}", f"machine {machine['platform']} vCPU", machine["cores"])
        yield line(f"machine {name}", f"machine {machine['platform']} RAM GB", machine["memory_gib"])
        yield line(f"machine {name}", f"disk {machine['disk_type']} GB", machine["disk_gib"])
        if machine["snapshots"]:
            # Each holds what has changed since the one before; one whole disk is the least.
            yield line(f"machine {name}, at least", "snapshot GB", machine["disk_gib"])
    yield line("into the internet", "NAT gateway", sizes["nat_gateways"])
    if sizes["public_addresses"]:
        yield line("from the internet", "public address", sizes["public_addresses"])
    yield line("internal names", "DNS zone", sizes["dns_zones"])
    yield line("encryption", "key version", sizes["kms_keys"] + 1)  # one more for the remote state
    yield line("Lockbox", "secret version", sizes["secrets"] + 1)


def by_use() -> Iterator[Line]:
    """What depends on the data; for one unit each."""
    for item, entry in PRICES["prices"].items():
        if entry["per"] == "use":
            yield line("by use, each", item, 1)


def retrain(sizes: dict[str, Any], minutes: float) -> pricing.Cost:
    """One cluster that lives for so many minutes."""
    cluster, hours = sizes["cluster"], minutes / 60
    disk = ("network-ssd", cluster["disk_gib"] * GIB)
    master = Hosts(cluster["master_preset"], *disk, 1)
    compute = Hosts(cluster["compute_preset"], *disk, cluster["compute_count"], cluster["preemptible"])
    return pricing.cost([master, compute], hours, hours)


# ------------------------------------------------------------------------------------------------ the table
def money(amount: float | None) -> str:
    return "no known price" if amount is None else f"{amount:,.2f}"


def show(site: Site, minutes: float, runs: float) -> None:
    """Prints the table, the sums, and what is not in them."""
    if minutes <= 0 or runs < 0:
        raise StackError(
            f"MINUTES={minutes:g} RUNS={runs:g}: positive numbers are expected, e.g. `make cost MINUTES=30`."
        )
    of, sizes = inputs(site)
    lines, currency = list(standing(sizes)), PRICES["currency"]
    table = Table(
        "for", "item", "quantity", f"{currency} a month", "source", title=f"Cost of {of}", title_justify="left"
    )
    table.columns[2].justify = table.columns[3].justify = "right"
    for each in (*lines, *by_use()):
        table.add_row(each.what, each.item, f"{each.quantity:g}", money(each.amount), each.source)
    console.print(table)
    for name, address in (PRICES["sources"] | pricing.PRICES["sources"]).items():
        console.print(f"  {name}: {address}")
    known = sum(each.amount for each in lines if each.amount is not None)
    unknown = sorted({each.item for each in lines if each.amount is None})
    once = retrain(sizes, minutes)
    say(f"per retrain: {once} for a cluster that lives {minutes:g} minutes (assumed; MINUTES=… says otherwise)")
    if once.amount is not None:
        say(f"per month: {known:,.2f} {currency} that stand, and {once.amount * runs:,.2f} for {runs:g} retrains")
    else:
        say(f"per month: {known:,.2f} {currency} that stand, and {runs:g} retrains without a known price")
    say(f"not in these sums, for want of a known price: {', '.join(unknown) or 'nothing'}; nor traffic")
    say(f"list prices with VAT, read on {PRICES['read']}: stack/cloud/prices.json, local_cloud/prices.json")
