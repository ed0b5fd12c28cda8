"""What the templates of this field do to decide, on the same candidates as ours: ``python -m bench.decisions.peers``.

Stationary worlds with weekly decisions as `bench.decisions` has them. All rules but ours look at the challenger and the
champion alone. Run with ``PYTHONPATH=spark_app`` in the environment of an image; the table goes to standard output.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from scipy.stats import ttest_rel
from sklearn.metrics import average_precision_score

from bench.decisions.contest import Rule, contest, rules
from bench.decisions.entrants import Field
from bench.decisions.estimates import rate, share
from bench.decisions.parts import BOTH, GATE, Size, contest_field, streams
from bench.decisions.plots import OURS
from bench.decisions.summary import WEEKS_A_YEAR
from fraud_retraining.evaluation import ScoredWeek
from fraud_retraining.tournament import Candidate

SUBSAMPLES, SHARE, LEVEL = 30, 0.5, 0.05  # of the rows; of the t-test
EQUAL, WORSE, GOOD, BETTER = STREAMS = ("equal", "-0.005", "0.01", "0.05")  # of challengers, by their true gain
Better = Callable[[ScoredWeek, Candidate, Candidate], bool]
Found = dict[str, dict[str, list[int]]]  # weeks of promotions by rule and stream


def newest(week: ScoredWeek, champion: Candidate, challenger: Candidate) -> bool:
    return True


def no_worse_auc(week: ScoredWeek, champion: Candidate, challenger: Candidate) -> bool:
    return challenger.metrics["roc_auc"] >= champion.metrics["roc_auc"]


def higher_ap(week: ScoredWeek, champion: Candidate, challenger: Candidate) -> bool:
    return challenger.metrics["average_precision"] > champion.metrics["average_precision"]


def t_test(week: ScoredWeek, champion: Candidate, challenger: Candidate) -> bool:
    """A paired t-test of AP on random halves of the rows, as if halves that share rows were independent."""
    draw, size = np.random.default_rng(0), int(SHARE * len(week.labels))
    pairs = []
    for _ in range(SUBSAMPLES):
        rows = draw.choice(len(week.labels), size, replace=False)
        pairs.append([average_precision_score(week.labels[rows], c.scores[rows]) for c in (champion, challenger)])
    old, new = np.transpose(pairs)
    return bool(ttest_rel(new, old, alternative="greater").pvalue < LEVEL)


PEERS: Mapping[str, Better] = {
    "the newest wins": newest,
    "ROC AUC no lower": no_worse_auc,
    "AP higher": higher_ap,
    f"t-test on {SUBSAMPLES} halves": t_test,
}


def as_rule(better: Better) -> Rule:
    """A rule that looks at the challenger and the champion alone."""

    def rule(week: ScoredWeek, number: int, candidates: list[Candidate]) -> dict[str, Any]:
        by_role = {c.role: c for c in candidates}
        champion, challenger = by_role["champion"], by_role["challenger"]
        won = better(week, champion, challenger)
        return {"action": "promote" if won else "keep", "winner": (challenger if won else champion).version}

    return rule


def all_rules() -> dict[str, Callable[[], Rule]]:
    """Peers' rules, then ours; each made anew for a contest, since some remember."""
    return {
        **{name: partial(as_rule, better) for name, better in PEERS.items()},
        "a gate on one week": rules([GATE], [])[f"gate {GATE}"],
        "ours: the same, stricter, or else evidence": rules([], [], BOTH)[OURS],
    }


def promotions(field: Field, weeks: int) -> Found:
    """Weeks of promotions by rule and stream of challengers."""
    return {
        name: {
            stream: [one.week for one in contest(field, first, challengers, rule())]
            for stream, (first, challengers) in streams(weeks).items()
            if stream in STREAMS
        }
        for name, rule in all_rules().items()
    }


def world(seed: int, size: Size) -> Found:
    return promotions(contest_field(seed, size), size.contest_weeks)


def table(found: list[Found], weeks: int) -> str:
    """Promotions by rule; a world is one observation."""
    lines = [
        "| rule | equal models promoted, a decision | a year | worse by .005 promoted, of the first decisions"
        " | better by .01 | by .05 |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name in all_rules():
        of_equals = rate([len(one[name][EQUAL]) for one in found], weeks)
        firsts = [share(sum(0 in one[name][stream] for one in found), len(found)) for stream in (WORSE, GOOD, BETTER)]
        cells = [told(of_equals), f"{WEEKS_A_YEAR * of_equals.value:.1f}", *map(told, firsts)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def told(one: Any) -> str:
    return f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.decisions.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=12, help="stationary worlds (default %(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="side by side (%(default)s)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # a process a core
    size, found = Size(), []
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        for one in pool.map(world, range(20_000, 20_000 + options.worlds), [size] * options.worlds):
            found.append(one)
            print(f"{len(found)} of {options.worlds} worlds", file=sys.stderr, flush=True)
    print(f"{len(found)} stationary worlds of {size.customers} cards, {size.contest_weeks} weekly decisions each.\n")
    print(table(found, size.contest_weeks))


if __name__ == "__main__":
    main()
