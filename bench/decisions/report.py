"""The tables of what was measured, and where its plots go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.decisions import plots
from bench.decisions.entrants import GAINS
from bench.decisions.estimates import Estimate, mean, rate
from bench.decisions.parts import CARDS_OF, RULES, Size
from bench.decisions.summary import SOON, WEEKS_A_YEAR, Decisions, Row, missed
from simulator import KINDS
from tests.support.kept import Passed

COLUMNS = ("AP", "CP@100", "money caught")


def tell(passed: Mapping[str, Passed], size: Size, folder: Path) -> str:
    """Markdown of every table; the plots are written into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    decided = [part for name, part in passed.items() if name.startswith("decisions")]
    served = {kind: [p for name, p in passed.items() if name.startswith(f"service {kind} ")] for kind in KINDS}
    served = {kind: rows for kind, rows in served.items() if rows}
    texts = [sizes(decided, served, size)]
    if decided:
        found = Decisions([part.row for part in decided], size.contest_weeks)
        texts += [false_promotions(found), adoption(found), goals(found)]
        for name, draw in (("power", plots.power), ("trade", plots.trade)):
            draw(found).savefig(folder / f"gate-{name}.png", dpi=130)
    if served:
        rows = {kind: [part.row for part in parts] for kind, parts in served.items()}
        texts += [worth(rows), in_service(rows, size.service_weeks - 1)]
        figure = plots.worth({kind: [row["policies"] for row in some] for kind, some in rows.items()})
        figure.savefig(folder / "retraining-worth.png", dpi=130)
    return "\n\n".join(texts)


def sizes(decided: Sequence[Passed], served: Mapping[str, Sequence[Passed]], size: Size) -> str:
    frauds = np.mean([part.row["frauds_a_week"] for part in decided]) if decided else float("nan")
    each = [
        np.mean([part.seconds for part in some])
        for some in (decided, [p for ps in served.values() for p in ps])
        if some
    ]
    kinds = ", ".join(f"{kind} {len(rows)}" for kind, rows in served.items()) or "none"
    return (
        f"{len(decided)} stationary worlds with {size.contest_weeks} weekly decisions, and worlds with"
        f" {size.service_weeks} weeks in service ({kinds}); {size.customers:,} cards, {frauds:.0f} frauds a week."
        f" Seconds of a core for a world: {', '.join(f'{seconds:.0f}' for seconds in each)}."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def percent(found: Estimate, digits: int = 0) -> str:
    return f"{found.value:.{digits}%} [{found.low:.{digits}%}, {found.high:.{digits}%}]"


def false_promotions(found: Decisions) -> str:
    """Promotions where nobody is better, per decision and per year, and the AP that they cost."""
    streams = {"equal": "equal models", **{str(gain): f"worse by {-gain:g}" for gain in GAINS if gain < 0}}
    rows = []
    for rule in found.rules():
        for stream, name in streams.items():
            false = found.false(stream, rule)
            a_year = false.times(WEEKS_A_YEAR)
            rows.append(
                [
                    plots.title_of(rule),
                    name,
                    percent(false, 2),
                    f"{a_year.value:.2f} [{a_year.low:.2f}, {a_year.high:.2f}]",
                    f"{found.harm(stream, rule):.4f}",
                ]
            )
    return "False promotions, with 95 % intervals over worlds\n\n" + table(
        ["rule", "challengers", "per decision", "per year", "AP lost a week"], rows
    )


def adoption(found: Decisions) -> str:
    """Share of worlds that adopt a true gain at once and soon, how long it takes, what the waiting costs."""
    rows = []
    for rule in found.rules():
        for gain in (gain for gain in GAINS if gain > 0):
            true = np.mean([row["true_gains"][str(gain)] for row in found.rows])
            wait = found.wait(gain, rule)
            rows.append(
                [
                    plots.title_of(rule),
                    f"{true:.4f}",
                    percent(found.adopted(gain, rule, 1)),
                    percent(found.adopted(gain, rule, SOON)),
                    f"{wait:.0f}" if np.isfinite(wait) else f"over {found.weeks}",
                    f"{found.harm(str(gain), rule):.4f}",
                ]
            )
    head = ["rule", "true gain", "at the first decision", f"within {SOON} weeks", "median weeks", "AP lost a week"]
    return "True gains\n\n" + table(head, rows)


def goals(found: Decisions) -> str:
    rows = [[plots.title_of(rule), "; ".join(missed(found, rule)) or "none"] for rule in found.rules()]
    return "Goals that are not reached\n\n" + table(["rule", "missed"], rows)


def worth(rows: Mapping[str, Sequence[Row]]) -> str:
    """Means over the weeks in service by kind of world and policy."""
    names = {
        **{policy: name for policy, (name, _) in plots.POLICIES.items()},
        **{rule: plots.title_of(rule) for rule in RULES},
    }
    lines = []
    for kind, some in rows.items():
        for policy, name in names.items():
            cells = []
            for column in range(len(COLUMNS)):
                middle, low, high = mean(np.array([[np.mean(row["policies"][policy][column])] for row in some]))
                cells.append(f"{middle[0]:.3f} [{low[0]:.3f}, {high[0]:.3f}]")
            changed = np.mean([row["changes"][policy] for row in some])
            lines.append([kind, name, *cells, f"{changed:.1f}"])
    text = f"The worth of retraining; money caught is the share on the 1 in {CARDS_OF} cards looked at each day"
    return f"{text}\n\n" + table(["world", "policy", *COLUMNS, "changes"], lines)


def in_service(rows: Mapping[str, Sequence[Row]], decisions: int) -> str:
    """What the promotions of weekly retrains were truly worth."""
    lines = []
    for kind, some in rows.items():
        for rule in RULES:
            gains = [[gain for _, gain in row["promotions"][rule]] for row in some]
            worse = rate([sum(gain <= 0 for gain in one) for one in gains], decisions)
            every = [gain for one in gains for gain in one]
            told = f"{np.mean(every):+.4f}" if every else "-"
            lines.append([kind, plots.title_of(rule), f"{len(every) / len(some):.1f}", told, percent(worse, 2)])
    head = ["world", "rule", "promotions in a world", "their mean true gain", "decisions that promote a worse model"]
    return "Promotions of weekly retrains; true is the mean AP over all weeks\n\n" + table(head, lines)
