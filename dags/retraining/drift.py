"""Whether data have drifted: population stability indices over histograms, and windows that violate a limit."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dags.retraining import raw_files

BINS = 10
FLOOR = 1e-4  # share of an empty bin: the logarithm needs one


def psi(expected: Sequence[float], found: Sequence[float]) -> float:
    """Population stability index of two histograms over the same bins: sum of (q - p) ln(q / p) over shares p, q.

    Below 0.1 nothing has changed, above 0.25 much has (Siddiqi, "Credit Risk Scorecards", 2006). An empty bin counts
    as a share of 1e-4. Two empty histograms do not differ.

    Raises:
        ValueError: the numbers of bins differ.
    """
    if len(expected) != len(found):
        raise ValueError(f"histograms of {len(expected)} and {len(found)} bins cannot be compared")
    totals = sum(expected), sum(found)
    if not all(totals):
        return 0.0
    shares = ((max(p / totals[0], FLOOR), max(q / totals[1], FLOOR)) for p, q in zip(expected, found, strict=True))
    return sum((q - p) * math.log(q / p) for p, q in shares)


def coarsen(expected: Mapping[int, int], found: Mapping[int, int]) -> tuple[list[int], list[int]]:
    """Two fine histograms over at most `BINS` bins, each with a tenth of what is expected or more, but the last."""
    least = sum(expected.values()) / BINS
    groups: list[list[int]] = [[0, 0]]
    for bin_ in sorted({*expected, *found}):
        if groups[-1][0] >= least and len(groups) < BINS:
            groups.append([0, 0])
        groups[-1][0] += expected.get(bin_, 0)
        groups[-1][1] += found.get(bin_, 0)
    return [group[0] for group in groups], [group[1] for group in groups]


def judge_file(
    name: str, version: str, found: Mapping[str, Any], known: Sequence[Mapping[str, Any]], most: float
) -> dict:
    """Window of one raw file."""
    indices = {
        what: psi(*coarsen(raw_files.merged(known, what), raw_files.merged([found], what)))
        for what in ("amount", "hour")
    }
    return _window(f"{name}:v{version}", indices, most)


def judge_run(run: Mapping[str, Any], reference: Mapping[str, Any], most: float, max_loss: float) -> dict:
    """Window of one run of `retrain`: inputs, scores and average precision of its newest labelled week."""
    indices = {
        name: psi(known["counts"], run["counts"][name])
        for name, known in reference["histograms"].items()
        if name in run["counts"]
    }
    window = _window(f"{run['run_id']}:v{run['version']}", indices, most)
    now, won = run["average_precision"], reference["average_precision"]
    if won - now > max_loss:
        window["violations"].append(
            f"average precision {now:.3f}, the champion won with {won:.3f}, a loss of {max_loss:.3f} is allowed"
        )
    return window | {"average_precision": now}


def judge_week(week: Mapping[str, Any], reference: Mapping[str, Any]) -> dict | None:
    """Window of one week in service; None if the version of the reference did not serve then, or nothing is known."""
    served = week["versions"].get(reference["version"])
    if not served or served["average_precision"] is None:
        return None
    window = _window(f"service-{week['week'][0]}:v{reference['version']}", {}, 0)
    if served["worse"]:
        low, high = served["interval"]
        window["violations"].append(
            f"average precision {served['average_precision']:.3f} in service, 95 % interval {low:.3f} to {high:.3f}; "
            f"the champion won with {served['promised']:.3f}"
        )
    return window | {"average_precision": served["average_precision"]}


def _window(name: str, indices: Mapping[str, float], most: float) -> dict[str, Any]:
    violations = [
        f"PSI of {what} is {value:.2f}, at most {most:.2f} is allowed"
        for what, value in indices.items()
        if value > most
    ]
    return {"name": name, "psi": {what: round(value, 4) for what, value in indices.items()}, "violations": violations}
