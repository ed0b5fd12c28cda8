"""The figures of a report, each a drawing and a sentence that says what it shows."""

from __future__ import annotations

from datetime import date
from typing import Callable, Dict, Optional

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fraud_retraining.reporting import past, words
from fraud_retraining.reporting.content import Comparison, FirstChampion, Report
from fraud_retraining.reporting.drawing import COLOURS, GRID, INK, MUTED, canvas, style, svg

SHOWN_INPUTS = 12
PERCENT = PercentFormatter(1, decimals=0, symbol=" %")
STYLES = {"challenger": "-", "champion": (0, (5, 2)), "earlier": ":"}


def drawn(report: Report) -> Dict[str, Markup]:
    """Figures by name, of those parts that the report has."""
    makers: Dict[str, Callable[[Report], Optional[Figure]]] = {
        "decision": decision,
        "evidence": past.evidence,
        "curves": curves,
        "budget": budget,
        "calibration": calibration,
        "scores": scores,
        "kinds": kinds,
        "importance": importance,
        "labels": past.labels,
        "history": past.history,
        "calendar": past.calendar,
    }
    found = {}
    with style():
        for name, make in makers.items():
            figure = make(report)
            if figure is not None:
                found[name] = svg(figure, name, says(report, name))
    return found


def says(report: Report, name: str) -> str:
    """What a figure shows, in a sentence."""
    one, champion = report.challenger, report.champion
    against = f", champion {champion.version} in comparison" if champion else ""
    texts = {
        "decision": report.headline,
        "evidence": words.first_up(words.over_weeks(report.evidence)) if report.evidence else "",
        "curves": f"Precision against recall of {len(report.curves)} models on the test week; AP of the challenger is"
        f" {one.metrics['average_precision']:.3f}",
        "budget": "Compromised cards and lost money by day, and how much of both lies on each day's list" + against,
        "calibration": "Mean score and share of frauds in ranges of scores, with 95 % intervals",
        "scores": "Shares of genuine transactions and of frauds by score",
        "kinds": "Share of the frauds of each kind that lies on listed cards" + against,
        "importance": "Share of gain and loss of AP by shuffling, of the most important inputs" + against,
        "labels": words.first_up(report.labels.why) if report.labels else "",
        "history": "Average precision of every champion by week: when it was chosen, at later retrains, in service",
        "calendar": ", ".join(f"{words.WINDOWS[window]} {words.span(days)}" for window, days in report.windows.items()),
    }
    return texts[name]


def decision(report: Report) -> Optional[Figure]:
    if report.comparison:
        return compared(report.comparison)
    return floor(report.first, report.amount_only) if report.first else None


def compared(found: Comparison) -> Figure:
    """The difference in AP with its interval, on a scale with the gate's two thresholds."""
    low, high = found.interval or [found.gain, found.gain]
    reach = max(abs(low), abs(high), abs(found.gain), 2.5 * found.min_gain) * 1.25
    figure = canvas(1.75)
    axes = figure.axes[0]
    axes.axvspan(found.min_gain, reach, color=COLOURS["good"], alpha=0.13, linewidth=0)
    for place, text, side in ((0.0, "0: lower bound above it ", "right"), (found.min_gain, " least gain", "left")):
        axes.axvline(place, color=MUTED, linewidth=1.4, linestyle="-" if place == 0 else "--")
        axes.text(place, 1.13, text if place == 0 else f" {place:+.3f}: gain above it", ha=side, color=MUTED)
    axes.plot([low, high], [0.5, 0.5], color=COLOURS["challenger"], linewidth=5, alpha=0.45, solid_capstyle="butt")
    axes.plot([found.lower_bound] * 2, [0.32, 0.68], color=COLOURS["challenger"], linewidth=2.4)
    axes.plot([found.gain], [0.5], "o", color=COLOURS["challenger"], markersize=10)
    axes.text(found.gain, 0.74, f"gain {found.gain:+.3f}", ha="center")
    axes.text(found.lower_bound, 0.05, f"lower bound {found.lower_bound:+.3f}", ha="center")
    axes.set(xlim=(-reach, reach), ylim=(0, 1.05), yticks=[])
    axes.set_xlabel(f"AP of {words.called(found.other)} minus AP of champion {found.champion}")
    axes.spines["left"].set_visible(False)
    axes.grid(False)
    return figure


def floor(found: FirstChampion, amount_only: float) -> Figure:
    """AP of a first champion, with what it must reach."""
    low, high = found.interval or [found.average_precision] * 2
    figure = canvas(1.75)
    axes = figure.axes[0]
    axes.axvspan(max(found.floor, amount_only), 1, color=COLOURS["good"], alpha=0.13, linewidth=0)
    places = sorted([(amount_only, f"by amount {amount_only:.2f}"), (found.floor, f"floor {found.floor:.2f}")])
    for (place, text), side, end in zip(places, ("right", "left"), (" ", "")):
        axes.axvline(place, color=MUTED, linewidth=1.4, linestyle="--")
        axes.text(place, 1.13, text + end if side == "right" else f" {text}", ha=side, color=MUTED)
    axes.plot([low, high], [0.5, 0.5], color=COLOURS["challenger"], linewidth=5, alpha=0.45, solid_capstyle="butt")
    axes.plot([found.average_precision], [0.5], "o", color=COLOURS["challenger"], markersize=10)
    axes.text(found.average_precision, 0.74, f"AP {found.average_precision:.3f}", ha="center")
    axes.set(xlim=(0, 1), ylim=(0, 1.05), yticks=[], xlabel="average precision on the test week")
    axes.spines["left"].set_visible(False)
    axes.grid(False)
    return figure


def curves(report: Report) -> Figure:
    figure = canvas(3.6)
    axes = figure.axes[0]
    found = {one.version: one.metrics["average_precision"] for one in report.standings}
    for curve in sorted(report.curves, key=lambda one: list(STYLES).index(one.role), reverse=True):  # the first on top
        colour, name = COLOURS[curve.role], f"{words.role(curve)}, AP {shown(found, curve.version)}"
        if curve.low and curve.high:
            axes.fill_between(curve.recall, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
        width = 1.2 if curve.role == "earlier" else 2.0
        axes.plot(
            curve.recall, curve.precision, color=colour, linestyle=STYLES[curve.role], linewidth=width, label=name
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall: share of frauds found", ylabel="precision")
    axes.xaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_major_formatter(PERCENT)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower left")
    return figure


def shown(found: Dict[str, float], version: str) -> str:
    value = found.get(version, found.get("not registered"))
    return "?" if value is None else f"{value:.3f}"


def budget(report: Report) -> Optional[Figure]:
    """Cards and money of each day: all that is lost in grey, what lies on the list in colour."""
    if not report.budgets:
        return None
    days = [date.fromisoformat(day.day) for day in report.budgets[0].days]
    figure = canvas(4.2, rows=2, sharex=True)
    places, width = np.arange(len(days)), 0.8 / len(report.budgets)
    for axes, all_of, part in zip(figure.axes, ("compromised", "money"), ("found", "money_found")):
        for number, one in enumerate(report.budgets):
            at = places - 0.4 + width * (number + 0.5)
            total, found = ([getattr(day, name) for day in one.days] for name in (all_of, part))
            axes.bar(at, total, width * 0.92, facecolor="none", edgecolor=MUTED, linewidth=1)
            axes.bar(at, found, width * 0.92, color=COLOURS[one.role], label=words.role(one))
        axes.grid(axis="x", visible=False)
    figure.axes[0].set_ylabel("cards")
    figure.axes[1].set_ylabel("money")
    figure.axes[1].set_xticks(places, [f"{day:%a}\n{day.day} {day:%b}" for day in days])
    figure.axes[1].tick_params(axis="x", length=0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncol=2)
    return figure


def calibration(report: Report) -> Figure:
    figure = canvas(3.2)
    axes, found = figure.axes[0], report.calibration
    places = np.arange(len(found))
    axes.bar(places, [one.expected for one in found], 0.7, color=GRID, label="mean score (expected)")
    spread = [[one.observed - (one.interval or [0])[0], (one.interval or [0, 0])[1] - one.observed] for one in found]
    observed = [one.observed for one in found]
    axes.errorbar(
        places,
        observed,
        np.clip(np.transpose(spread), 0, None),
        fmt="o",
        color=COLOURS["challenger"],
        capsize=3,
        label="share of frauds (observed)",
    )
    axes.set_xticks(places, [one.name.replace(" %", "") for one in found], rotation=35)
    axes.set(xlabel="score, %", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PERCENT)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left")
    return figure


def scores(report: Report) -> Optional[Figure]:
    if not report.scores:
        return None
    figure = canvas(2.9)
    axes, found = figure.axes[0], report.scores
    logits = np.log(np.array(found.edges) / (1 - np.array(found.edges)))
    for shares, colour, name in ((found.genuine, MUTED, "genuine"), (found.fraud, COLOURS["bad"], "fraud")):
        axes.stairs(shares, logits, color=colour, fill=True, alpha=0.25)
        axes.stairs(shares, logits, color=colour, linewidth=1.8, label=name, linestyle="-" if name == "fraud" else "--")
    ticks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99]
    axes.set_xticks([np.log(tick / (1 - tick)) for tick in ticks], [f"{100 * tick:g} %" for tick in ticks])
    axes.set(xlabel="score", ylabel="share of the class", ylim=(0, None), xlim=(logits[0], logits[-1]))
    axes.yaxis.set_major_formatter(PERCENT)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncol=2)
    return figure


def kinds(report: Report) -> Optional[Figure]:
    if not report.kinds:
        return None
    figure = canvas(0.8 + 0.55 * len(report.kinds))
    axes = figure.axes[0]
    for place, kind in enumerate(report.kinds):
        share = kind.found / kind.frauds
        axes.barh(place, 1, 0.62, facecolor="none", edgecolor=GRID)
        axes.barh(place, share, 0.62, color=COLOURS["challenger"])
        if kind.found_by_champion is not None:
            axes.plot([kind.found_by_champion / kind.frauds] * 2, [place - 0.38, place + 0.38], color=INK, linewidth=2)
        inside = share > 0.4
        axes.text(
            share + (-0.02 if inside else 0.03),
            place,
            f"{kind.found} of {kind.frauds}",
            va="center",
            ha="right" if inside else "left",
            color=COLOURS["surface"] if inside else INK,
        )
    axes.set_yticks(range(len(report.kinds)), [f"kind {kind.kind}" for kind in report.kinds])
    axes.set(xlim=(0, 1.01), xlabel="found" + (" (line: by the champion)" if report.champion else ""))
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PERCENT)
    axes.grid(axis="y", visible=False)
    return figure


def importance(report: Report) -> Optional[Figure]:
    """Two columns of dots: gain and loss, challenger filled, champion hollow."""
    if not report.importance:
        return None
    found = report.importance[:SHOWN_INPUTS]
    figure = canvas(1.2 + 0.3 * len(found), columns=2, sharey=True)
    places = np.arange(len(found))
    pairs = (("gain", "champion_gain", "share of gain"), ("loss", "champion_loss", "AP lost"))
    for axes, (name, former, label) in zip(figure.axes, pairs):
        now, then = (np.array([value(getattr(one, key)) for one in found]) for key in (name, former))
        axes.hlines(places, now, np.where(np.isnan(then), now, then), color=MUTED, linewidth=1.2)
        axes.plot(then, places, "D", markerfacecolor="none", color=COLOURS["champion"], markersize=6, label="champion")
        axes.plot(now, places, "o", color=COLOURS["challenger"], markersize=6.5, label="challenger")
        axes.set_xlabel(label)
        axes.locator_params(axis="x", nbins=3)
    figure.axes[0].set_yticks(places, [words.feature(one.name) for one in found])
    figure.axes[0].tick_params(axis="y", labelsize=9.5, labelcolor=INK)
    figure.axes[0].invert_yaxis()
    if report.champion:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside upper right", ncol=2)
    return figure


def value(found: Optional[float]) -> float:
    return float("nan") if found is None else found
