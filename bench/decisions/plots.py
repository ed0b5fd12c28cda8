"""The plots of what was measured; each a function from summaries to a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from bench.decisions.entrants import GAINS
from bench.decisions.estimates import mean
from bench.decisions.parts import GATE, MARGIN, TURN
from bench.decisions.summary import GOAL, SOON, WEEKS_A_YEAR, Decisions

GATE_COLOUR, MEMORY_COLOUR, EITHER_COLOUR, GREY = "#0072b2", "#d55e00", "#009e73", "#888888"
OURS = "either 0.02 0.0"  # what the application does if nothing else is asked for
POLICIES = {  # name: what it is called, its colour
    "never": ("never retrain", "#888888"),
    "newest": ("always the newest", "#e69f00"),
    "point": ("better on one figure", "#cc79a7"),
    OURS: ("ours", "#0072b2"),
    "ceiling": ("a filter that knows the world", "#009e73"),
}
SHOWN = {f"gate {GATE}": GATE_COLOUR, f"memory {MARGIN}": MEMORY_COLOUR, OURS: EITHER_COLOUR}
matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})


def title_of(rule: str) -> str:
    kind, *values = rule.split()
    return {
        "gate": f"one week, minimum gain {values[0]}",
        "memory": f"over weeks, margin {values[0]}",
        "either": f"one week ({values[0]}) or over weeks ({values[-1]})",
    }[kind]


def power(found: Decisions) -> Figure:
    """How often a true gain is adopted, at once and within some weeks, by its size."""
    gains = [gain for gain in GAINS if gain > 0]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, within in zip(figure.subplots(1, 2, sharey=True), (1, SOON), strict=True):
        for shift, (rule, colour) in zip((-0.1, 0.0, 0.1), SHOWN.items(), strict=True):
            estimates = [found.adopted(gain, rule, within) for gain in gains]
            values = np.array([one.value for one in estimates])
            bars = np.abs(np.array([[one.low, one.high] for one in estimates]).T - values)
            at = np.arange(len(gains)) + shift
            axes.errorbar(at, values, bars, marker="o", capsize=3, color=colour, label=title_of(rule))
        axes.axhline(GOAL["power"], color=GREY, linewidth=0.8, linestyle=":")
        axes.set_xticks(range(len(gains)), [f"{gain:g}" for gain in gains])
        axes.set_title("at the first decision" if within == 1 else f"within {within} weeks")
        axes.set_xlabel("true gain in AP of every new model")
    figure.axes[0].set_ylabel(f"worlds in which it is adopted ({len(found.rows)} worlds)")
    figure.axes[0].set_ylim(-0.03, 1.03)
    figure.axes[1].legend(loc="lower right", frameon=False)
    return figure


def trade(found: Decisions) -> Figure:
    """What a rule pays in false promotions for what it finds: every minimum gain, every margin."""
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    panels = ((0.01, 1, "a true gain of .01 at once"), (0.005, SOON, f"a lasting gain of .005 within {SOON} weeks"))
    low, high = -0.14, 1.14
    for axes, (gain, within, title) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        reached = (GOAL["power"] - low) / (high - low)
        axes.axvspan(-0.4, GOAL["a year"], ymin=reached, color="#009e73", alpha=0.12, linewidth=0)
        for kind, colour, name, beside in (
            ("gate", GATE_COLOUR, "one week, by minimum gain", (4, -12)),
            ("memory", MEMORY_COLOUR, "over weeks, by margin", (-8, -3)),
            ("either", EITHER_COLOUR, "either of them, by minimum gain", (4, 5)),
        ):
            rules = [rule for rule in found.rules() if rule.startswith(kind)]
            false = [found.false("equal", rule).times(WEEKS_A_YEAR) for rule in rules]
            adopted = [found.adopted(gain, rule, within).value for rule in rules]
            at = [one.value for one in false]
            axes.plot(at, adopted, "o-", color=colour, label=name)
            axes.hlines(adopted, at, [one.high for one in false], color=colour, alpha=0.35, linewidth=1)
            for place, (x, y, rule) in enumerate(zip(at, adopted, rules, strict=True)):
                # Neighbours may lie close together: every other label is a line further out.
                further = 0 if kind == "memory" else (place % 2) * (10 if beside[1] > 0 else -10)
                by = (beside[0], beside[1] + further)
                side = "right" if kind == "memory" else "left"
                axes.annotate(
                    rule.split()[1], (x, y), by, textcoords="offset points", ha=side, fontsize=8, color=colour
                )
        axes.set_title(title)
        axes.set_xlabel("equal models promoted a year (line: up to the upper bound)")
        axes.set_xscale("symlog", linthresh=0.5)
        axes.set_xlim(-0.4, 40)
        ticks = (0, 0.5, 1, 2, 5, 10, 20)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    figure.axes[0].set_ylim(low, high)
    figure.axes[0].set_ylabel("worlds in which it is adopted")
    figure.axes[0].legend(loc=(0.42, 0.12), frameon=False)
    return figure


def worth(by_kind: Mapping[str, Sequence[Mapping[str, list[list[float]]]]], column: int = 0) -> Figure:
    """AP in service by week, a panel for each kind of world; the band is over worlds."""
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    for axes, (kind, rows) in zip(panels, by_kind.items(), strict=False):
        for policy, (name, colour) in POLICIES.items():
            weeks = np.array([row[policy][column] for row in rows])
            middle, low, high = mean(smooth(weeks))
            at = np.arange(1, weeks.shape[1] + 1)
            axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(at, middle, color=colour, label=name, linewidth=2 if name == "ours" else 1.3)
        if kind in ("change", "drift"):
            axes.axvline(TURN + 1, color="black", linewidth=0.8, linestyle=":")
        axes.set_title({"labels": "wrong and missing labels", "delay": "late labels"}.get(kind, kind))
    figure.supxlabel("week in service (mean of three); dotted: the world begins to change", fontsize=9)
    figure.supylabel("average precision, by true labels", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(POLICIES), frameon=False)
    return figure


def smooth(weeks: np.ndarray) -> np.ndarray:
    """Mean of a week, the one before and the one after, by world: shape as given."""
    padded = np.pad(weeks, ((0, 0), (1, 1)), mode="edge")
    return (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
