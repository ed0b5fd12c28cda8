"""Figures of time: the champions week by week, and the retrain's windows on a calendar."""

from __future__ import annotations

from datetime import date, timedelta
from math import log, log10
from typing import Dict, List, Optional, Tuple

from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from fraud_retraining.dataset import WEEK
from fraud_retraining.reporting.content import Point, Report
from fraud_retraining.reporting.drawing import COLOURS, GRID, INK, MUTED, canvas

COLOURED = ("challenger", "champion", "good", "bad")  # the newest champions; those before are grey
KINDS = {"chosen": "o", "retrain": ".", "service": "s"}
UNKNOWN = "labels not known"
SHOWN_AGES = 42  # days


def history(report: Report) -> Optional[Figure]:
    """AP by week, a line for each champion: a ring when it was chosen, dots since, squares in service."""
    if not report.history or not report.history.points:
        return None
    figure = canvas(3.4)
    axes = figure.axes[0]
    by_version: Dict[str, List[Point]] = {}
    for point in report.history.points:
        by_version.setdefault(point.version, []).append(point)
    for place, version in enumerate(sorted(by_version, key=order, reverse=True)):
        colour = COLOURS[COLOURED[place]] if place < len(COLOURED) else MUTED
        points = by_version[version]
        measured = [one for one in points if one.kind != "service"]
        axes.plot(days(measured), values(measured), color=colour, linewidth=1.3, alpha=0.7)
        for kind, marker in KINDS.items():
            chosen = [one for one in points if one.kind == kind]
            hollow = "none" if kind == "service" else colour
            axes.plot(
                days(chosen),
                values(chosen),
                marker,
                color=colour,
                markerfacecolor=hollow,
                markersize=9 if kind != "service" else 7,
            )
            for one in chosen:
                if one.interval:
                    axes.plot([date.fromisoformat(one.day)] * 2, one.interval, color=colour, linewidth=1, alpha=0.6)
        last = max(points, key=lambda one: one.day)
        axes.annotate(
            f"v{version}",
            (date.fromisoformat(last.day), last.average_precision),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=INK,
        )
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.margins(x=0.09, y=0.12)
    known = sorted(days(report.history.points))
    if known and known[0] == known[-1]:
        axes.set_xlim(known[0] - timedelta(14), known[0] + timedelta(14))
    axes.set_ylabel("average precision")
    for kind, marker in KINDS.items():
        filled = "none" if kind == "service" else MUTED
        label = {"chosen": "chosen", "retrain": "later retrain", "service": "in service"}[kind]
        axes.plot([], [], marker, color=MUTED, markerfacecolor=filled, markersize=7, label=label)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncol=3, handletextpad=0.3)
    return figure


def evidence(report: Report) -> Optional[Figure]:
    """Odds of each candidate after each week, and what promotes; beyond the edges they lie on them."""
    found = report.evidence
    pairs = [one for one in found.pairs if one.weeks] if found else []
    if not found or not pairs:
        return None
    figure = canvas(3.0)
    axes = figure.axes[0]
    low, high = -2.5, log10(found.needed) + 1.2
    ends = []
    for one in reversed(pairs):
        heights = [min(high - 0.1, max(low + 0.1, week.log_e / log(10))) for week in one.weeks]
        at = [date.fromisoformat(week.last) for week in one.weeks]
        axes.plot(at, heights, "o-", color=COLOURS[one.role], markersize=7)
        ends.append((at[-1], heights[-1], f"v{one.version}" if one.version.isdigit() else "challenger"))
    for day, height, name in apart(ends):
        axes.annotate(name, (day, height), xytext=(8, 0), textcoords="offset points", va="center", color=INK)
    axes.axhspan(log10(found.needed), high, color=COLOURS["good"], alpha=0.13, linewidth=0)
    axes.axhline(log10(found.needed), color=MUTED, linewidth=1.4, linestyle="--")
    axes.axhline(0, color=MUTED, linewidth=1.0)
    ticks = sorted({-2.0, -1.0, 0.0, 1.0, log10(found.needed), log10(found.needed) + 1})
    axes.set_yticks(ticks, [f"{10**tick:,.0f} to 1" if tick >= 0 else f"1 to {10**-tick:.0f}" for tick in ticks])
    axes.set(ylim=(low, high), ylabel=f"for a gain over champion {found.champion}")
    known = sorted({date.fromisoformat(week.last) for one in pairs for week in one.weeks})
    axes.set_xlim(known[0] - timedelta(4), known[-1] + timedelta(max(4, (known[-1] - known[0]).days // 6)))
    shown = known[:: -max(1, -(-len(known) // 6))]
    axes.set_xticks(shown, [f"{day.day} {day:%b}" for day in shown])
    return figure


def apart(ends: List[Tuple[date, float, str]], least: float = 0.3) -> List[Tuple[date, float, str]]:
    """Names of lines that end at one height, one above the other."""
    found: List[Tuple[date, float, str]] = []
    for day, height, name in sorted(ends, key=lambda end: (end[0], end[1])):
        if found and found[-1][0] == day:
            height = max(height, found[-1][1] + least)
        found.append((day, height, name))
    return found


def labels(report: Report) -> Optional[Figure]:
    """Share of a day's frauds by the age of the day, and the delay that follows."""
    found = report.labels
    if not found or not found.known:
        return None
    figure = canvas(2.9)
    axes = figure.axes[0]
    ages = range(1, min(len(found.known), SHOWN_AGES) + 1)
    axes.step(ages, found.known[: len(ages)], where="mid", color=COLOURS["challenger"])
    axes.axhline(found.ripe, color=MUTED, linewidth=1.4, linestyle="--")
    axes.text(ages[-1], found.ripe - 0.02, f"{100 * found.ripe:.0f} % are asked for", ha="right", va="top", color=MUTED)
    axes.axvspan(found.delay + 0.5, found.delay + WEEK + 0.5, color=COLOURS["test"], alpha=0.2, linewidth=0)
    axes.text(found.delay + 0.5, 0.04, " test week", color=MUTED)
    axes.set(xlim=(0.5, ages[-1] + 0.5), ylim=(0, 1.04), xlabel="age of the day", ylabel="frauds known")
    axes.set_xticks(range(7, ages[-1] + 1, 7), [f"{age} d" for age in range(7, ages[-1] + 1, 7)])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return figure


def order(version: str) -> Tuple[int, str]:
    return (int(version) if version.isdigit() else 10**9, version)


def days(points: List[Point]) -> List[date]:
    return [date.fromisoformat(one.day) for one in points]


def values(points: List[Point]) -> List[float]:
    return [one.average_precision for one in points]


def window_of(report: Report, day: date) -> Optional[str]:
    """The window that a day lies in; ``unknown`` between the test week and the retrain."""
    for name, (first, last) in report.windows.items():
        if first <= day.isoformat() <= last:
            return name
    after = max(last for _, last in report.windows.values())
    return "unknown" if after < day.isoformat() < report.as_of else None


def calendar(report: Report) -> Figure:
    """Weeks as columns, as on a wall calendar turned on its side: train, delay, test, the day of the retrain."""
    first = min(date.fromisoformat(days[0]) for days in report.windows.values())
    as_of = date.fromisoformat(report.as_of)
    start = first - timedelta(first.weekday())
    weeks = (as_of - start).days // 7 + 1
    figure = canvas(2.5)
    axes = figure.axes[0]
    colours = {"train": "train", "delay": "delay", "test": "test"}
    for number in range(7 * weeks):
        day = start + timedelta(number)
        column, row, window = number // 7, number % 7, window_of(report, day)
        if day == as_of:
            axes.add_patch(box(column, row, "none", INK, 2.2))
        elif window in colours:
            axes.add_patch(box(column, row, COLOURS[colours[window]], "none", 0))
        else:
            axes.add_patch(box(column, row, "none", MUTED if window else GRID, 1))
        inked = (
            COLOURS["surface"]
            if window in ("train", "test") and day != as_of
            else INK
            if window or day == as_of
            else MUTED
        )
        axes.text(column + 0.5, row + 0.5, str(day.day), ha="center", va="center", fontsize=9.5, color=inked)
    axes.set(xlim=(-0.1, max(weeks, 9) + 0.1), ylim=(7.1, -0.9), xticks=[])
    axes.set_yticks([row + 0.5 for row in range(7)], ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    axes.tick_params(length=0)
    named = ""
    for column in range(weeks):
        month = f"{start + timedelta(7 * column + 6):%b}"
        if month != named:
            axes.text(column + 0.05, -0.45, month, va="center", color=MUTED)
            named = month
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def box(column: int, row: int, face: str, edge: str, width: float) -> Rectangle:
    return Rectangle((column + 0.06, row + 0.06), 0.88, 0.88, facecolor=face, edgecolor=edge, linewidth=width)
