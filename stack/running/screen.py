"""The screen as a person reads it: a line or two for each question, what needs somebody first."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stack.running import shape
from stack.running.shape import Answer, Screen

MARKS = {"well": ("ok", "green"), "person": ("!!", "bold red"), "unknown": ("??", "yellow"), "absent": ("--", "dim")}
NAMES = {"schedule": "next runs", "service": "in service"}


# ------------------------------------------------------------------------------------------------ words
def ago(moment: str | None, now: datetime) -> str:
    """`06:00 (3 h ago)`, of another day `2026-11-29 06:00 (in 2 days)`; in UTC, as the headline says."""
    if not moment:
        return "never"
    then = datetime.fromisoformat(moment).astimezone(UTC)
    seconds = (now - then).total_seconds()
    span = length(abs(seconds))
    day = "" if then.date() == now.date() else f"{then:%Y-%m-%d} "
    return f"{day}{then:%H:%M} ({f'{span} ago' if seconds >= 0 else f'in {span}'})"


def length(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def money(amount: float | None, currency: str, at_most: bool = False) -> str:
    return "no known price" if amount is None else f"{'at most ' if at_most else ''}{amount:,.2f} {currency}"


def serving(found: shape.Serving, now: datetime, _: Screen) -> Iterator[str]:
    yield f"version {found.version or 'none'} since {ago(found.since, now)}, {found.action} by {found.by}"
    yield found.reason
    if found.changing:
        yield f"under way: {found.changing}"


def service(found: shape.Week, _: datetime, __: Screen) -> Iterator[str]:
    yield f"week of {found.monday}: {found.listed:,.0f} of {found.lost:,.0f} lost lies on listed cards"
    for one in found.versions:
        if one.average_precision is None:
            yield f"version {one.version}: too few frauds to measure"
            continue
        spread = f" [{one.interval[0]:.3f}, {one.interval[1]:.3f}]" if one.interval else ""
        promised = "" if one.promised is None else f", promised {one.promised:.3f}"
        yield f"version {one.version}: AP {one.average_precision:.3f}{spread}{promised}"


def decision(found: shape.Decision, now: datetime, _: Screen) -> Iterator[str]:
    winner = f", version {found.winner}" if found.winner else ""
    yield f"{found.action}{' (dry run)' if found.dry_run else ''}{winner}, {ago(found.ended, now)}"
    yield found.reason


def waiting(found: shape.Waiting, now: datetime, _: Screen) -> Iterator[str]:
    yield f"version {found.version} waits until {ago(found.until, now)}; without an answer the champion stays"
    yield found.reason
    yield found.report


def data(found: shape.Data, _: datetime, __: Screen) -> Iterator[str]:
    late = "late" if found.late else "in time"
    yield f"newest {found.newest}, {found.age_days:.1f} days old, {late} (at most {found.expected_days:g})"
    yield f"waiting for a retrain: {listed(found.unused) or 'nothing'}"


def listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def drift(found: shape.Drift, now: datetime, _: Screen) -> Iterator[str]:
    wanted = "a retrain is wanted" if found.retrain_wanted else "no retrain is wanted"
    yield f"{len(found.violations)} of {found.windows} windows violate, {wanted}; {ago(found.measured, now)}"
    yield from found.violations


def schedule(found: list[shape.Scheduled], now: datetime, _: Screen) -> Iterator[str]:
    for one in found:
        # While a run goes on, Airflow has no time for the next one.
        due = "paused" if one.paused else ago(one.next, now) if one.next else "after this run"
        last = f"last {one.last_state} {ago(one.last_started, now)}" if one.last_state else "has never run"
        yield f"{one.dag}: {due}; {last}"


def clusters(found: list[shape.Alive], now: datetime, _: Screen) -> Iterator[str]:
    for one in found:
        yield (
            f"{one.name} of {one.dag}, {one.status}, {length(one.age_seconds)} old, "
            f"{money(one.cost, one.currency)} so far, expires {ago(one.expires, now)}"
        )
    if not found:
        yield "none alive"


def costs(found: shape.Costs, _: datetime, __: Screen) -> Iterator[str]:
    if last := found.last_run:
        cost = money(last.cost, found.currency, last.at_most)
        yield f"last run of {last.dag}: {cost} for {length(last.seconds)} ({last.name})"
    unpriced = f", {found.unpriced} of them without a known price" if found.unpriced else ""
    month = money(found.month, found.currency, found.at_most)
    clusters = "1 cluster" if found.clusters == 1 else f"{found.clusters} clusters"
    yield f"this month so far: {month} for {clusters}{unpriced}"
    budgets = [("a run", found.budget_run), ("a month", found.budget_month)]
    said = [f"{money(amount, found.currency)} {per}" for per, amount in budgets if amount]
    yield f"budget: {', '.join(said) or 'none'}"


def mlflow(found: shape.MlflowServer, _: datetime, __: Screen) -> Iterator[str]:
    yield f"{found.version} answers; {f'champion is version {found.champion}' if found.champion else 'no champion yet'}"


def components(found: list[shape.Component], _: datetime, __: Screen) -> Iterator[str]:
    by_state: dict[str, list[str]] = {}
    for one in found:
        by_state.setdefault(one.state, []).append(one.name)
    for state, names in by_state.items():
        yield f"{state}: {', '.join(names)}"


def machine(found: shape.Machine, now: datetime, whole: Screen) -> Iterator[str]:
    for disk in found.disks:
        yield f"disk {disk.path}: {disk.percent} % full, {disk.free_gib:g} GiB free"
    for one in found.certificates:
        yield f"certificate {one.name}: {one.days} days left"
    if whole.kind == "cloud":
        yield f"last backup {ago(found.backup, now)}"
        yield f"last verified restore {ago(found.verified, now)}"
    else:
        yield "no certificates, no backups: the demo has none"


LINES: dict[str, Callable[[Any, datetime, Screen], Iterator[str]]] = {
    "serving": serving,
    "service": service,
    "decision": decision,
    "approval": waiting,
    "data": data,
    "drift": drift,
    "schedule": schedule,
    "clusters": clusters,
    "costs": costs,
    "mlflow": mlflow,
    "airflow": components,
    "programs": components,
}


# ------------------------------------------------------------------------------------------------ the whole
def headline(whole: Screen) -> Text:
    problems, unknown = len(whole.problems), len(whole.unknown)
    parts = [f"{problems} need{'s' if problems == 1 else ''} a person"] if problems else []
    parts += [f"{unknown} could not be asked"] if unknown else []
    style = "bold red" if problems else "bold yellow" if unknown else "bold green"
    said = Text(f"{whole.kind} in {whole.where}, {datetime.fromisoformat(whole.asked):%Y-%m-%d %H:%M} UTC: ")
    return said.append(", ".join(parts) or "all is well", style)


def body(one: Answer[Any], lines: Callable[[Any, datetime, Screen], Iterator[str]], whole: Screen) -> Text:
    now = datetime.fromisoformat(whole.asked)
    text = Text()
    for problem in one.problems:
        text.append(f"{problem}\n", "red")
    if one.why:
        text.append(f"{one.why}\n", MARKS[one.state][1])
    if one.value is not None:
        for number, line in enumerate(lines(one.value, now, whole)):
            text.append(f"{line}\n", "" if number == 0 or isinstance(one.value, list) else "dim")
    text.rstrip()
    return text


def show(whole: Screen, console: Console) -> None:
    """Prints it, as wide as the terminal is; without colours where nobody sees them."""
    console.print(headline(whole), soft_wrap=False)
    if not whole.machines and whole.unknown:  # nothing at all could be asked, for one reason
        console.print(Padding(Text(whole.serving.why), (0, 0, 0, 2)), soft_wrap=False)
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=2)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    rows = [(NAMES.get(name, name), getattr(whole, name), lines) for name, lines in LINES.items()]
    rows += [(name, one, machine) for name, one in whole.machines.items()]
    said: set[str] = set()
    for name, one, lines in rows:
        again = bool(one.why) and one.why in said
        said.add(one.why)
        mark, style = MARKS[one.state]
        told = Text("as said above", style) if again else body(one, lines, whole)
        grid.add_row(Text(mark, style), Text(name, "bold"), told)
    with console.capture() as captured:
        console.print(grid, soft_wrap=False)
    for line in captured.get().splitlines():
        console.file.write(f"{line.rstrip()}\n")
