"""`make cost`: what the configured stack costs per month and per retrain, at list prices."""

from rich.table import Table

from local_cloud import pricing
from stack.cloud import pause, registry
from stack.cloud.deployment import Deployment
from stack.cloud.price_list import PRICES, by_use, retrain, standing
from stack.cloud.sizes import find_sizes
from stack.common.console import console, say

MINUTES, RUNS = 30.0, 4.3  # of one retrain, which nobody has measured in the cloud yet; weekly runs in a month


def money(amount: float | None) -> str:
    return "no known price" if amount is None else f"{amount:,.2f}"


def show(deployment: Deployment, minutes: float, runs: float) -> None:
    """Prints the table, the sums, and what is not in them."""
    registry.choose(deployment)
    of, sizes = find_sizes(deployment)
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
    say(f"while it is paused (`make pause`): {pause.amounts(sizes)}")
    say(f"not in these sums, for want of a known price: {', '.join(unknown) or 'nothing'}; nor traffic")
    say(f"list prices with VAT, read on {PRICES['read']}: stack/cloud/prices.json, local_cloud/prices.json")
