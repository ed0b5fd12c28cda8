"""Which model version should serve: a pure decision over scores of the same week, and what earlier weeks have shown."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from fraud_retraining.evaluation import ScoredWeek, bootstrap_average_precision, interval
from fraud_retraining.evidence import Evidence, Gain, odds

WEEK, WEEKS = "week", "weeks"  # one week decides; it does, or else the evidence of many
NOR_WEEKS = "; nor do weeks decide: "  # between what the week says and what the evidence says
MOST_RESAMPLED = 200  # resamples that tell a gain's variance to a tenth


@dataclass(frozen=True)
class Gate:
    """What a candidate needs to replace the champion; docs/decisions/gate.md has what each value is worth."""

    min_gain: float = 0.02  # on one week; what is smaller needs evidence
    level: float = 0.95  # one-sided: the gain's lower bound at this level must exceed 0
    resamples: int = 1000
    floor: float = 0.3  # least AP of a first champion
    max_auc_loss: float = 0.02
    max_card_precision_loss: float = 0.02
    max_miscalibration: float = 2.0  # observed over expected frauds, or its inverse
    min_frauds: int = 20  # of the test week; fewer tell nothing
    rule: str = WEEKS
    margin: float = 0.0  # of `weeks`: evidence is for a true gain above it
    alpha: float = 0.01  # of `weeks`: the most often that a candidate without such a gain is ever promoted


# By rule. Two models that differ by seed alone can differ by .007 in AP on one week, with P(> 0) = .95.
GATES = {WEEKS: Gate(), WEEK: Gate(rule=WEEK, min_gain=0.01)}


@dataclass(frozen=True)
class Candidate:
    """A version that was scored on the test week. Roles: champion, challenger, earlier."""

    version: Optional[str]
    role: str
    metrics: Mapping[str, float]
    scores: np.ndarray

    def to_dict(self) -> Dict[str, Any]:
        return {"version": self.version, "role": self.role, "metrics": dict(self.metrics)}


def decide(
    week: ScoredWeek,
    candidates: List[Candidate],
    gate: Gate,
    seed: int,
    seen: Optional[Mapping[str, Evidence]] = None,
) -> Dict[str, Any]:
    """Compare the best other candidate with the champion; one that breaks a guardrail gives way to the next best.

    Args:
        seen: evidence of every other candidate, which decides if the week does not and the gate's rule is `weeks`.

    Returns:
        ``comparison`` (null without a champion), ``action`` (promote, keep, reject), ``winner`` (version or null),
        ``reason`` (one sentence), ``decided_by`` (week, weeks), ``passed_over`` (version and reason of the candidates
        that gave way).
    """
    champion = next((c for c in candidates if c.role == "champion"), None)
    others = [c for c in candidates if c is not champion]
    if not others:
        return no_contest(champion)
    if champion is None:
        return first_champion(by_precision(others), int(week.labels.sum()), gate)
    found = by_week(week, champion, others, gate, seed)
    if found["action"] == "promote" or gate.rule == WEEK or seen is None:
        return found
    return by_weeks(found, week, champion, others, gate, seed, seen)


def by_precision(candidates: List[Candidate]) -> List[Candidate]:
    return sorted(candidates, key=lambda c: c.metrics["average_precision"], reverse=True)


def passed(champion: Candidate, ranked: List[Candidate], best: Candidate, gate: Gate) -> List[Dict[str, Any]]:
    """Candidates in front of the best one, with the guardrails that they break."""
    return [
        {"version": c.version, "reason": ", ".join(broken_guardrails(champion, c, gate))}
        for c in takewhile(lambda c: c is not best, ranked)
    ]


def by_week(week: ScoredWeek, champion: Candidate, others: List[Candidate], gate: Gate, seed: int) -> Dict[str, Any]:
    """What this week alone says."""
    ranked = by_precision(others)
    best = next((c for c in ranked if not broken_guardrails(champion, c, gate)), ranked[0])
    comparison = compare(week, champion, best, gate, seed)
    broken = broken_conditions(comparison, int(week.labels.sum()), gate) + broken_guardrails(champion, best, gate)
    text = (
        f"version {best.version} ({best.role}) has AP {best.metrics['average_precision']:.3f} against"
        f" {champion.metrics['average_precision']:.3f} of champion {champion.version}: gain {comparison['gain']:+.3f},"
        f" lower bound {comparison['lower_bound']:+.3f}, needed {gate.min_gain:+.3f} and above 0"
    )
    return {
        "comparison": comparison,
        "action": "keep" if broken else "promote",
        "winner": champion.version if broken else best.version,
        "reason": f"{text}; champion stays because {', '.join(broken)}" if broken else f"{text}; promoted",
        "decided_by": WEEK,
        "passed_over": passed(champion, ranked, best, gate),
    }


def by_weeks(
    by_week: Dict[str, Any],
    week: ScoredWeek,
    champion: Candidate,
    others: List[Candidate],
    gate: Gate,
    seed: int,
    seen: Mapping[str, Evidence],
) -> Dict[str, Any]:
    """Promote who has the most evidence if that is enough and no guardrail is broken; else as by the week."""
    ranked = sorted(others, key=lambda c: seen[str(c.version)].log_e, reverse=True)
    best, broken, text = strongest(champion, others, seen, int(week.labels.sum()), gate)
    if broken:
        return {**by_week, "reason": f"{by_week['reason']}{NOR_WEEKS}{text}"}
    return {
        "comparison": compare(week, champion, best, gate, seed),
        "action": "promote",
        "winner": best.version,
        "reason": f"{text}; promoted by the evidence, where the week alone did not decide: {by_week['reason']}",
        "decided_by": WEEKS,
        "passed_over": passed(champion, ranked, best, gate),
    }


def strongest(
    champion: Candidate, others: List[Candidate], seen: Mapping[str, Evidence], frauds: int, gate: Gate
) -> Tuple[Candidate, List[str], str]:
    """The candidate with the most evidence among those that break no guardrail, what is against it, and a sentence."""
    allowed = [c for c in others if not broken_guardrails(champion, c, gate)] or others
    best = max(allowed, key=lambda c: seen[str(c.version)].log_e)
    evidence, needed = seen[str(best.version)], 1 / gate.alpha
    broken = [
        *(["the evidence is too weak"] if evidence.log_e < math.log(needed) else []),
        *too_few(frauds, gate),
        *broken_guardrails(champion, best, gate),
    ]
    weeks = len(evidence.weeks)
    text = (
        f"version {best.version} has been compared with champion {champion.version} in {weeks}"
        f" {'week' if weeks == 1 else 'weeks'}: the evidence for a gain above {gate.margin:g} is"
        f" {odds(evidence.log_e)}, needed {needed:.0f} to 1"
    )
    return best, broken, text


def gains(week: ScoredWeek, candidates: List[Candidate], gate: Gate, seed: int) -> Dict[str, Gain]:
    """Gain in AP of every other candidate over the champion, with its variance; empty without a champion."""
    champion = next((c for c in candidates if c.role == "champion"), None)
    if champion is None:
        return {}
    scores = {str(c.version): c.scores for c in candidates}
    resampled = bootstrap_average_precision(week, scores, min(gate.resamples, MOST_RESAMPLED), seed)
    of_champion = resampled[str(champion.version)]
    return {
        str(c.version): Gain(
            c.metrics["average_precision"] - champion.metrics["average_precision"],
            float(np.var(resampled[str(c.version)] - of_champion)) if len(of_champion) else 0.0,
        )
        for c in candidates
        if c is not champion
    }


def no_contest(champion: Optional[Candidate]) -> Dict[str, Any]:
    """No candidate besides the champion."""
    return {
        "comparison": None,
        "action": "keep" if champion else "reject",
        "winner": champion.version if champion else None,
        "reason": "the challenger does not beat ranking by amount alone and nobody else competes",
        "decided_by": WEEK,
        "passed_over": [],
    }


def not_comparable(champion: str) -> Dict[str, Any]:
    """The champion has seen the test week: a retrain as of a past day changes nothing."""
    return {
        "comparison": None,
        "action": "keep",
        "winner": champion,
        "reason": f"champion {champion} was trained on this test week, so nobody can be compared with it fairly",
        "decided_by": WEEK,
        "passed_over": [],
    }


def first_champion(ranked: List[Candidate], frauds: int, gate: Gate) -> Dict[str, Any]:
    """Without a champion the best candidate that is calibrated must reach the floor, on frauds enough to tell."""
    best = next((c for c in ranked if not broken_calibration(c, gate)), ranked[0])
    found = best.metrics["average_precision"]
    broken = [
        *([f"AP is below the floor of {gate.floor:.3f}"] if found < gate.floor else []),
        *too_few(frauds, gate),
        *broken_calibration(best, gate),
    ]
    text = f"no champion yet; version {best.version} has AP {found:.3f}, the floor is {gate.floor:.3f}"
    return {
        "comparison": None,
        "action": "reject" if broken else "promote",
        "winner": None if broken else best.version,
        "reason": f"{text}; refused because {', '.join(broken)}" if broken else f"{text}; promoted",
        "decided_by": WEEK,
        "passed_over": [
            {"version": c.version, "reason": ", ".join(broken_calibration(c, gate))}
            for c in takewhile(lambda c: c is not best, ranked)
        ],
    }


def compare(week: ScoredWeek, champion: Candidate, other: Candidate, gate: Gate, seed: int) -> Dict[str, Any]:
    """Paired comparison of two candidates: gain in AP with its one-sided lower bound and 95 % interval."""
    scores = {"champion": champion.scores, "other": other.scores}
    resampled = bootstrap_average_precision(week, scores, gate.resamples, seed)
    gains = resampled["other"] - resampled["champion"]
    return {
        "champion": champion.version,
        "other": other.version,
        "gain": other.metrics["average_precision"] - champion.metrics["average_precision"],
        # Without a resample that has a fraud nothing is known: the gain may be as low as a difference of AP can be.
        "lower_bound": float(np.quantile(gains, 1 - gate.level)) if len(gains) else -1.0,
        "interval": list(interval(gains)) if len(gains) else [-1.0, 1.0],
        "resamples_with_frauds": len(gains),
        **asdict(gate),
    }


def broken_conditions(comparison: Dict[str, Any], frauds: int, gate: Gate) -> List[str]:
    """Readable conditions on the gain in AP that do not hold."""
    conditions = {
        f"the gain is below {gate.min_gain:.3f}": comparison["gain"] < gate.min_gain,
        "the lower bound of the gain is not above 0": comparison["lower_bound"] <= 0,
    }
    return [text for text, broken in conditions.items() if broken] + too_few(frauds, gate)


def too_few(frauds: int, gate: Gate) -> List[str]:
    """Readable condition on the test week's frauds, if it does not hold."""
    return [f"the test week has {frauds} frauds, fewer than {gate.min_frauds}"] if frauds < gate.min_frauds else []


def broken_calibration(candidate: Candidate, gate: Gate) -> List[str]:
    """Readable condition on the level of the scores, if it does not hold."""
    calibration = candidate.metrics["calibration"]
    off = max(calibration, 1 / calibration) if calibration > 0 else float("inf")
    return [f"observed over expected frauds is {calibration:.2f}"] if off > gate.max_miscalibration else []


def broken_guardrails(champion: Candidate, other: Candidate, gate: Gate) -> List[str]:
    """Readable conditions on everything but AP that do not hold."""
    auc_loss = champion.metrics["roc_auc"] - other.metrics["roc_auc"]
    card_loss = champion.metrics["card_precision_100"] - other.metrics["card_precision_100"]
    conditions = {
        f"ROC AUC falls by {auc_loss:.3f}": auc_loss > gate.max_auc_loss,
        f"CP@100 falls by {card_loss:.3f}": card_loss > gate.max_card_precision_loss,
    }
    return [text for text, broken in conditions.items() if broken] + broken_calibration(other, gate)
