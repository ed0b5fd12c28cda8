"""The plot of docs/scale.md: a host's work by their number, and the cost model beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.scale.measured import Measured, predictions

COLOURS = {"prepare": "#0072b2", "features": "#009e73", "train": "#d55e00", "score": "#cc79a7"}
GREY = "#888888"
matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})


def scale(runs: Sequence[Measured], series: Sequence[Measured]) -> Figure:
    """``series`` are runs of the same rows on more and more hosts."""
    shown = len(series) > 1
    figure = Figure(figsize=(9 if shown else 5.5, 3.8), layout="constrained")
    panels = figure.subplots(1, 1 + shown, squeeze=False)[0]
    if shown:
        by_hosts(panels[0], series)
    by_rows(panels[-1], runs)
    return figure


def by_hosts(axes: Axes, series: Sequence[Measured]) -> None:
    hosts = [int(one.run["hosts"]) for one in series]
    for step, colour in COLOURS.items():
        seconds = [one.of(step).busiest for one in series]
        axes.plot(hosts, seconds, "o-", color=colour, label=step)
        axes.plot(hosts, [seconds[0] * hosts[0] / each for each in hosts], "--", color=colour, linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = [tick for power in range(-1, 5) for tick in (10**power, 2 * 10**power, 5 * 10**power) if low < tick < high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks(hosts, [str(each) for each in hosts])
    axes.minorticks_off()
    axes.set_xlabel("hosts of one core")
    axes.set_ylabel(f"seconds of the busiest host's core, {series[0].said['rows'] / 1e6:.1f} M rows")
    axes.set_title("the work of a host (dashed: an even share of it)")
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def by_rows(axes: Axes, runs: Sequence[Measured]) -> None:
    for step, colour in COLOURS.items():
        fitted = [one.of(step) for one in runs if one.run["fit"] and any(each.step == step for each in one.works)]
        axes.plot([one.rows for one in fitted], [one.seconds for one in fitted], "o", color=colour, markersize=4)
        for each in (one for one in predictions(runs) if one.step == step):
            axes.plot(each.rows, each.measured, "s", color=colour, markersize=6)
            axes.plot(each.rows, each.predicted, "x", color="black", markersize=7)
    axes.plot([], [], "o", color=GREY, markersize=4, label="measured, fitted on")
    axes.plot([], [], "s", color=GREY, label="measured, not fitted on")
    axes.plot([], [], "x", color="black", label="predicted")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rows of the step")
    axes.set_ylabel("seconds of a core")
    axes.set_title("what the cost model says")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
