"""`make cost`: what the stack costs per month and per retrain, at list prices, and what the settings change of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from rich.table import Table

from local_cloud import pricing
from stack.cloud import pause, registry, sizes
from stack.cloud.deployment import Deployment
from stack.cloud.outputs import CostInputs
from stack.cloud.price_list import PRICES, Line, by_use, retrain, standing
from stack.cloud.sizes import Sized
from stack.common.console import console, say
from stack.common.errors import StackError

CURRENCY = PRICES["currency"]
SMALLEST = "c1-m2"  # of Airflow's presets
MINUTES, RUNS = 30.0, 4.3  # of one retrain, which nobody has measured in the cloud yet; weekly runs in a month


def money(amount: float | None) -> str:
    return "no known price" if amount is None else f"{amount:,.2f}"


def show(deployment: Deployment, minutes: float, runs: float) -> None:
    """Prints the table, the sums, what is not in them, and what the settings change of it."""
    registry.choose(deployment)
    deployed = sizes.built(deployment)
    now = deployed or sizes.configured(deployment)
    table_of(now)
    sums(now, minutes, runs)
    try:
        if deployed:
            difference(deployed, sizes.configured(deployment), minutes, runs)
        elif deployment.settings.exists():
            difference(sizes.default(deployment), now, minutes, runs)
    except StackError as problem:
        say(f"what the settings change of it is not known: {problem}")


def table_of(now: Sized) -> None:
    """Every line, and where its price is from."""
    title = f"Cost of {now.of}"
    table = Table("for", "item", "quantity", f"{CURRENCY} a month", "source", title=title, title_justify="left")
    table.columns[2].justify = table.columns[3].justify = "right"
    for each in (*standing(now.sizes), *by_use()):
        table.add_row(each.what, each.item, f"{each.quantity:g}", money(each.amount), each.source)
    console.print(table)
    for name, address in (PRICES["sources"] | pricing.PRICES["sources"]).items():
        console.print(f"  {name}: {address}")


def known(lines: Iterable[Line]) -> float:
    """Sum of the lines whose price is known."""
    return sum(each.amount for each in lines if each.amount is not None)


def sums(now: Sized, minutes: float, runs: float) -> None:
    lines = list(standing(now.sizes))
    unknown = sorted({each.item for each in lines if each.amount is None})
    once = retrain(now.sizes, minutes)
    say(f"per retrain: {once} for a cluster that lives {minutes:g} minutes (assumed; MINUTES=… says otherwise)")
    if once.amount is not None:
        say(
            f"per month: {known(lines):,.2f} {CURRENCY} that stand, and {once.amount * runs:,.2f} for {runs:g} retrains"
        )
    else:
        say(f"per month: {known(lines):,.2f} {CURRENCY} that stand, and {runs:g} retrains without a known price")
    say(f"while it is paused (`make pause`): {pause.amounts(now.sizes)}")
    for said in smaller(now.sizes):
        say(said)
    for said in over(now, once, runs):
        say(f"[red]{said}[/]")
    say(f"not in these sums, for want of a known price: {', '.join(unknown) or 'nothing'}; nor traffic")
    say(f"list prices with VAT, read on {PRICES['read']}: stack/cloud/prices.json, local_cloud/prices.json")


def smaller(sizes: CostInputs) -> Iterator[str]:
    """What Airflow's smallest preset would save; it is the largest part of what stands."""
    parts = sizes.airflow or {}
    if larger := [name for name, part in parts.items() if part.preset != SMALLEST]:
        small = replace(sizes, airflow={name: replace(part, preset=SMALLEST) for name, part in parts.items()})
        saved = known(standing(sizes)) - known(standing(small))
        yield f"with the preset {SMALLEST} for Airflow's {', '.join(larger)}: {saved:,.2f} {CURRENCY} a month less"


def over(now: Sized, once: pricing.Cost, runs: float) -> Iterator[str]:
    """What of the budget does not fit the cost of a run."""
    for of, limit, times in (
        ("a run", now.budget.get("run") or 0, 1.0),
        ("a month", now.budget.get("month") or 0, runs),
    ):
        if limit and once.amount is None:
            yield f"budget of {of}: {limit:g} {CURRENCY}, and a run has no known price: no run would start"
        elif limit and once.amount is not None and once.amount * times > limit:
            cost = f"{once.amount * times:,.2f} {CURRENCY}"
            end = "no run would start" if times == 1 else "the last ones of a month would not start"
            yield f"budget of {of}: {limit:g} {CURRENCY}, and {times:g} retrains cost {cost}: {end}"


# ------------------------------------------------------------------------------------------------ the difference
@dataclass(frozen=True)
class Change:
    """A line of the cost before and after; None where there is none."""

    what: str
    item: str
    before: Line | None
    after: Line | None

    @property
    def more(self) -> float | None:
        """By how much it grows in a month; None if a price is not known."""
        sides = [0.0 if each is None else each.amount for each in (self.before, self.after)]
        return None if sides[0] is None or sides[1] is None else sides[1] - sides[0]


def changes(before: Sized, after: Sized) -> list[Change]:
    """Lines that differ, in the order of the table."""
    old, new = ({(each.what, each.item): each for each in standing(one.sizes)} for one in (before, after))
    every = [Change(*key, old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new])]
    return [each for each in every if each.before != each.after]


def difference(before: Sized, after: Sized, minutes: float, runs: float) -> None:
    """Prints what changes if the settings take effect, line by line and in sum."""
    found = changes(before, after)
    once = retrain(before.sizes, minutes), retrain(after.sizes, minutes)
    if not found and once[0] == once[1]:
        return say(f"the settings change nothing of the cost of {before.of}")
    if found:
        table_of_changes(found, f"What the settings change of the cost of {before.of}")
    stands = known(standing(before.sizes)), known(standing(after.sizes))
    say(f"per month, what stands: {grown(*stands)}")
    say(f"per retrain: {once[0]} -> {once[1]}")
    if once[0].amount is not None and once[1].amount is not None:
        together = stands[0] + once[0].amount * runs, stands[1] + once[1].amount * runs
        say(f"per month, with {runs:g} retrains: {grown(*together)}")
    if unknown := sorted({each.item for each in found if each.more is None}):
        say(f"not in this difference, for want of a known price: {', '.join(unknown)}")
    for said in over(after, once[1], runs):
        say(f"[red]{said}[/]")


def grown(before: float, after: float) -> str:
    return f"{before:,.2f} -> {after:,.2f} {CURRENCY} ({after - before:+,.2f})"


def table_of_changes(found: Iterable[Change], title: str) -> None:
    names = ("for", "item", "before", "after", f"{CURRENCY} a month before", "after", "more")
    table = Table(*names, title=title, title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    for each in found:
        sides = (each.before, each.after)
        quantities = [f"{side.quantity:g}" if side else "-" for side in sides]
        amounts = [money(side.amount) if side else "-" for side in sides]
        table.add_row(
            each.what, each.item, *quantities, *amounts, "not known" if each.more is None else f"{each.more:+,.2f}"
        )
    console.print(table)
