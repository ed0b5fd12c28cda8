"""A retrain's report, put together of everything that it has found out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

import pandas as pd
import xgboost
from pyspark.sql import DataFrame

from fraud_retraining import __version__, drift, model
from fraud_retraining.days import BUDGET
from fraud_retraining.evaluation import ScoredWeek
from fraud_retraining.lake import Lake
from fraud_retraining.reporting import inputs, measures, records, words
from fraud_retraining.reporting.content import (
    Card,
    Comparison,
    Evidence,
    FirstChampion,
    Importance,
    Labels,
    Pair,
    PairWeek,
    Quality,
    Report,
    Standing,
    Step,
)
from fraud_retraining.tournament import Candidate, Gate

if TYPE_CHECKING:
    from fraud_retraining.training import Data, Entrants, Request, Settings

ABSENT = {
    "comparison": "There is nobody to compare with.",
    "evidence": "Nobody was compared with a champion, so no week counts.",
    "budgets": "Not measured.",
    "kinds": "The lake does not tell kinds of fraud, or the week has one kind only.",
    "importance": "Not measured: no row of the sample is a fraud.",
    "quality": "This run prepared no raw file: all of them were prepared before.",
    "labels": "It is not known how labels ripen here.",
    "history": "No version has served yet.",
    "steps": "Not measured.",
    "cost": "Cost is not known here: the job was not told the price of its cluster.",
}


@dataclass(frozen=True)
class Terms:
    """What only whoever runs a retrain knows.

    ``price`` of the cluster per hour in ``currency``, ``owner`` of the model, ``budget``: cards a day that people look
    at.
    """

    price: Optional[float] = None
    currency: str = ""
    owner: str = ""
    budget: int = BUDGET


@dataclass(frozen=True)
class Samples:
    """Rows of the two windows with inputs and ``tx_fraud``, about ``inputs.ROWS`` each; ``weight`` in train."""

    train: pd.DataFrame
    week: pd.DataFrame


def samples(train: DataFrame, train_rows: int, test: DataFrame, test_rows: int, names: Sequence[str]) -> Samples:
    kept = [*names, "tx_fraud"]
    return Samples(
        train=drift.sample(train, train_rows, inputs.ROWS).select(*kept, "weight").toPandas(),
        week=drift.sample(test, test_rows, inputs.ROWS).select(*kept).toPandas(),
    )


def of_week(
    week: ScoredWeek, sides: Sequence[Candidate], others: Sequence[Candidate], seed: int, budget: int = BUDGET
) -> Dict[str, Any]:
    """What the scored week says of champion and challenger, the latter first in ``sides``, and of all others."""
    measured = measures.Measured(week, sides, budget, seed)
    places = range(len(sides))
    return {
        "curves": [measured.curve(place) for place in places] + [measures.curve(week, one) for one in others],
        "budgets": [measured.budget(place) for place in places],
        "intervals": {str(side.version): measured.intervals(place) for place, side in enumerate(sides)},
        "calibration": measures.calibration(week, sides[0].scores),
        "scores": measures.score_shares(week, sides[0].scores),
        "kinds": measures.kinds(week, {side.role: one for side, one in zip(sides, measured.lists)}),
    }


def of_inputs(
    booster: xgboost.Booster, champion: Optional[xgboost.Booster], found: Samples, names: Sequence[str], seed: int
) -> Dict[str, Any]:
    ranked: List[Importance] = []
    if 0 < found.week["tx_fraud"].sum() < len(found.week):
        ranked = inputs.importance(booster, champion, found.week, seed)
    return {"importance": ranked, "drift": inputs.drifts(found.train, found.week, names)}


def retrain(
    lake: Lake,
    request: Request,
    settings: Settings,
    data: Data,
    entrants: Entrants,
    decision: Mapping[str, Any],
    quality: Optional[Quality],
    seconds: Mapping[str, float],
) -> Report:
    """The report of one retrain.

    Args:
        decision: content of ``decision.json``.
        quality: rows that ``prepare`` of the same run took.
        seconds: by step, as far as the retrain has come.
    """
    champion = next((one for one in entrants.candidates if one.role == "champion"), None)
    sides = [entrants.challenger, *([champion] if champion else [])]
    others = [one for one in entrants.candidates if one.role == "earlier"]
    found = of_week(entrants.week, sides, others, settings.seed, request.terms.budget)
    intervals = found.pop("intervals")
    known = entrants.boosters.get(str(champion.version)) if champion else None
    names = sorted({*entrants.booster.feature_names, *(known.feature_names if known else [])})
    sampled = samples(data.train, data.counts["train_rows"], data.test, entrants.test_rows, names)
    standings = [standing(one, intervals, decision) for one in by_rank([*sides, *others])]
    parts: Dict[str, Any] = {
        **found,
        **of_inputs(entrants.booster, known, sampled, settings.features, settings.seed),
        "comparison": comparison(decision),
        "evidence": over_weeks(decision, settings.gate),
        "first": first_champion(decision, standings, settings.gate),
        "quality": quality,
        "labels": Labels(**decision["labels"]) if decision["labels"] else None,
        "history": records.history(lake, request.model, decision),
        "steps": steps({"prepare": quality.seconds, **seconds} if quality else seconds, request.terms.price),
    }
    lineage = {
        "data fingerprint": data.digest,
        "code version": request.release,
        "parent champion": (decision["champion"] or {}).get("version") or "none",
        "MLflow run": decision["mlflow_run_id"],
        "seed": str(settings.seed),
    }
    return Report(
        run_id=request.run_id,
        as_of=decision["as_of"],
        as_of_reason=decision["as_of_reason"],
        action=decision["action"],
        headline=words.headline(decision),
        reason=decision["reason"],
        decided_by=decision["decided_by"],
        dry_run=request.dry_run,
        windows=decision["windows"],
        counts=counts(data.counts, entrants.week),
        standings=standings,
        amount_only=entrants.amount_only,
        card=card(request.model, entrants.challenger.version, request.terms.owner, settings, lineage),
        settings=flat_settings(settings),
        skipped=list(decision["skipped"]),
        currency=request.terms.currency,
        absent=absent(parts, request.terms),
        **parts,
    )


def evaluation(week: ScoredWeek, candidate: Candidate, about: Mapping[str, Any], parts: Mapping[str, Any]) -> Report:
    """The report of ``evaluate``: one model, no registry, no lake.

    Args:
        about: the JSON object of the evaluation.
        parts: of ``of_week`` and ``of_inputs``.
    """
    low, high = about["average_precision"]["interval"] or (float("nan"), float("nan"))
    value, days = about["average_precision"]["value"], words.span(about["windows"]["test"])
    intervals = {name: about[name]["interval"] for name in candidate.metrics}
    found = {name: part for name, part in parts.items() if name != "intervals"}
    lineage = {"code version": __version__, "seed": str(about["settings"]["seed"])}
    return Report(
        run_id="evaluation",
        as_of=about["as_of"],
        as_of_reason="asked for",
        action="measure",
        headline=(
            f"A model that is trained as a retrain on {words.day(about['as_of'])} would train it has average precision"
            f" {value:.3f} (95 % interval {low:.3f} to {high:.3f}) on the test week, {days}."
        ),
        reason="an evaluation decides nothing",
        dry_run=True,
        windows=dict(about["windows"]),
        counts=dict(about["rows"]),
        standings=[Standing("evaluated", "challenger", dict(candidate.metrics), intervals, "was measured")],
        amount_only=about["amount_only_average_precision"],
        first=FirstChampion(
            "evaluated", value, about["average_precision"]["interval"], about["settings"]["gate"]["floor"]
        ),
        card=Card("", None, "", ALGORITHM, list(about["settings"]["features"]), lineage),
        settings={name: value for name, value in about["settings"].items() if name not in ("features", "gate")},
        absent={
            **absent(found, Terms()),
            "cost": "It ran on no cluster of its own.",
            "quality": "An evaluation leaves no record of rows by rule: its log names every file with bad rows.",
            "history": "An evaluation knows no registry.",
            "evidence": "An evaluation compares nobody.",
            "labels": "An evaluation takes labels as known after 7 days: raw files do not say when labels came.",
        },
        steps=[Step("all", about["seconds"], None)],
        **found,
    )


ALGORITHM = "gradient-boosted trees (XGBoost), a native booster that scores without Spark; scores are probabilities"


def by_rank(candidates: Sequence[Candidate]) -> List[Candidate]:
    return sorted(candidates, key=lambda one: -one.metrics["average_precision"])


def standing(one: Candidate, intervals: Mapping[str, Any], decision: Mapping[str, Any]) -> Standing:
    version = str(one.version) if one.version else "not registered"
    found = intervals.get(str(one.version), {})
    return Standing(version, one.role, dict(one.metrics), found, words.outcome(decision, one.version))


def comparison(decision: Mapping[str, Any]) -> Optional[Comparison]:
    found = decision["comparison"]
    return found and Comparison(**{name: found[name] for name in Comparison.__dataclass_fields__})


def over_weeks(decision: Mapping[str, Any], gate: Gate) -> Optional[Evidence]:
    """What the candidates have shown over weeks, the strongest first."""
    found = decision["evidence"]
    if found is None:
        return None
    roles = {one["version"]: one["role"] for one in decision["candidates"]}
    pairs = [
        Pair(
            version=version,
            role=roles[version],
            weeks=[PairWeek(week["week"][0], week["week"][1], week["gain"], week["log_e"]) for week in one["weeks"]],
            **{name: one[name] for name in ("gain", "mean_gain", "log_e")},
        )
        for version, one in found["candidates"].items()
    ]
    return Evidence(
        rule=gate.rule,
        needed=1 / gate.alpha,
        pairs=sorted(pairs, key=lambda one: -one.log_e),
        **{name: found[name] for name in ("champion", "margin", "this_week_counts", "unreadable")},
    )


def first_champion(decision: Mapping[str, Any], standings: Sequence[Standing], gate: Gate) -> Optional[FirstChampion]:
    """Where nobody serves yet: whoever is best of those that could."""
    if decision["champion"] or not decision["candidates"]:
        return None
    version = decision["winner"] or standings[0].version
    one = next(each for each in standings if each.version == version)
    return FirstChampion(version, one.metrics["average_precision"], one.intervals.get("average_precision"), gate.floor)


def steps(seconds: Mapping[str, float], hourly: Optional[float]) -> List[Step]:
    return [Step(name, each, None if hourly is None else each / 3600 * hourly) for name, each in seconds.items()]


def counts(found: Mapping[str, int], week: ScoredWeek) -> Dict[str, int]:
    return {**found, "test_rows": len(week.labels), "test_frauds": int(week.labels.sum())}


def flat_settings(settings: Settings) -> Dict[str, Any]:
    """Settings but for the list of inputs, those of the gate among them."""
    found = {**asdict(settings), **model.PARAMETERS}
    gate = found.pop("gate")
    return {**{name: value for name, value in found.items() if name != "features"}, **gate}


def card(name: str, version: Optional[str], owner: str, settings: Settings, lineage: Dict[str, str]) -> Card:
    return Card(name, version, owner, ALGORITHM, list(settings.features), lineage)


def absent(parts: Mapping[str, Any], terms: Terms) -> Dict[str, str]:
    """Why a part is not there, of those that are not."""
    missing = {name: why for name, why in ABSENT.items() if name != "cost" and not parts.get(name)}
    if terms.price is None:
        missing["cost"] = ABSENT["cost"]
    return missing
