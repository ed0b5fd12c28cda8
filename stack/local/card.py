"""The card at the end: who is champion and why, where to look, what it would have cost, how to stop."""

from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from dags.retraining import history, scores
from local_cloud.report import usage
from stack.common.release import MODEL
from stack.local.memory import of_tree
from stack.local.state import State
from stack.local.supervisor import process_id

METRICS = {"average_precision": "AP", "roc_auc": "ROC AUC", "card_precision_100": "CP@100"}


def metrics_table(decision: dict[str, Any]) -> Table:
    """Champion and challenger of the newest comparison, side by side."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    sides = {"champion before": decision["champion"], "challenger": decision["challenger"]}
    for name, side in sides.items():
        table.add_column(f"{name}: version {side['version']}" if side else f"{name}: none", justify="right")
    for key, label in METRICS.items():
        # A champion that could not be loaded has no metrics.
        values = [f"{side['metrics'][key]:.3f}" if side and side["metrics"] else "-" for side in sides.values()]
        table.add_row(label, *values)
    return table


def champion(decision: dict[str, Any], answer: dict[str, str] | None) -> str:
    """Who serves after a decision, and who approved of it, if somebody was asked."""
    refused = answer and answer["verdict"] in (history.REFUSED, history.UNANSWERED)
    before = decision["champion"] and decision["champion"]["version"]
    version = before if refused else decision["winner"]
    said = f" (version {decision['winner']} {answer['verdict']} by {answer['by']})" if answer else ""
    return (f"{MODEL} version {version}" if version else "none") + said


def listed(scored: dict[str, Any] | None) -> str:
    """The newest list's first cards, as people get them from the alerts."""
    if not scored or not scored["alert_days"]:
        return "no new list: nothing new was scored"
    day = scored["alert_days"][-1]
    lines = [scores.line(card) for card in scored["cards"][:3]]
    return "\n".join([*lines, f"of up to {scored['budget']} on {day}: s3://lake/alerts/{day}.csv"])


def money(state: State) -> str:
    clusters = usage(state.folder / "cloud")
    if not clusters:
        return "no cluster yet"
    last = clusters[-1]
    return f"{last.name} lived {last.seconds:.0f} s; in the cloud that would have cost {last.cost}"


def password_of(state: State, console: Console, name: str) -> str:
    """The password where a person reads it; where the output is kept (a pipe, a log), the place it is in."""
    return state.secrets[name] if console.is_terminal else f"(`{name}` in {state.folder / 'secrets.json'})"


def show(state: State, console: Console, seconds: float) -> None:
    last = state.load("last_cycle", None)
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")  # an address is of use only whole
    if last:
        decision = last["decision"]
        grid.add_row("decision", f"[bold]{decision['action']}[/]: {decision['reason']}")
        grid.add_row("champion", champion(decision, last.get("answer")))
        grid.add_row("metrics", metrics_table(decision))
        grid.add_row("cards to look at", listed(last.get("scored")))
        grid.add_row("report", last["report_url"])
        grid.add_row("graph", last["run_url"])
        grid.add_row("cluster", money(state))
        grid.add_row("last cycle", f"{last['seconds']:.0f} s, {last['peak_bytes'] / 2**30:.1f} GiB at most")
    grid.add_row("Airflow", f"{state.url('airflow')}  admin  {password_of(state, console, 'airflow_password')}")
    grid.add_row("MLflow", f"{state.url('mlflow')}  admin  {password_of(state, console, 'mlflow_admin_password')}")
    memory = of_tree(process_id(state)) / 2**30
    grid.add_row("this command", f"{seconds:.0f} s; the stack takes {memory:.1f} GiB now")
    weeks = state.load("progress", {"cycles": 0})["cycles"]
    grid.add_row("next", f"`make demo WEEKS={weeks + 1}` brings another week; `make demo-stop` stops everything")
    console.print(Panel(grid, title="fraud-retraining", expand=False))
