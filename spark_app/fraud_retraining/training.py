"""One retrain: features, a challenger, the tournament, its record in MLflow."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Tuple

import mlflow
import xgboost
from mlflow.entities import DatasetInput
from mlflow.tracking import MlflowClient
from pyspark.sql import DataFrame
from sklearn.metrics import average_precision_score

from fraud_retraining import (
    __version__,
    dataset,
    days,
    descriptions,
    drift,
    evidence,
    features,
    model,
    ripening,
    tournament,
    tracking,
)
from fraud_retraining.dataset import Split
from fraud_retraining.errors import RetrainingError
from fraud_retraining.evaluation import ScoredWeek, metrics, scored_week
from fraud_retraining.evidence import Memory, Week
from fraud_retraining.jobs import log, step
from fraud_retraining.lake import Lake, Manifest, prepared_days, unlabelled_days
from fraud_retraining.reporting import gather, pages, records
from fraud_retraining.reporting.content import CARD, SHORT
from fraud_retraining.reporting.gather import Terms
from fraud_retraining.ripening import Ripening
from fraud_retraining.tournament import Candidate, Gate
from fraud_retraining.tracking import Version

KEYS = ["transaction_id", "tx_datetime", "customer_id", "tx_amount", "tx_fraud", "tx_fraud_scenario"]
CHALLENGER = "challenger"
UNREGISTERED = "unregistered"  # stands for the challenger's version in a dry run


@dataclass(frozen=True)
class Settings:
    """Everything a retrain depends on besides the data."""

    features: List[str] = field(default_factory=lambda: list(features.ALL_FEATURES))
    train_days: int = 28
    most_negatives: int = 5_000_000
    most_scored: int = 2_000_000
    seed: int = 42
    earlier: int = 5
    ripe: float = ripening.RIPE  # share of a day's frauds that must be known before it is measured
    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True)
class Request:
    """What a retrain is asked for.

    ``model`` is the registered model's name; ``as_of`` is the day of the retrain, the day after the newest complete one
    if None; a dry run registers nothing and leaves nothing in the lake: its decision is what it would be. ``release``
    names the code that does it.
    """

    run_id: str
    model: str
    as_of: Optional[date] = None
    dry_run: bool = False
    release: str = __version__
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True)
class Data:
    """Rows of a retrain with their features: train rows with ``weight``, test rows of cards not known to be bad.

    ``why`` says in words which days of the lake were taken as the newest, ``ripening`` how its labels come.
    """

    as_of: date
    split: Split
    train: DataFrame
    test: DataFrame
    counts: Dict[str, int]
    digest: str
    why: str = "asked for"
    ripening: Optional[Ripening] = None


@dataclass(frozen=True)
class Entrants:
    """Who competes: the scored test week, the candidates, the challenger among them or refused.

    ``booster`` is the challenger's, ``boosters`` are the candidates' by version; ``test_rows`` counts the test week, of
    which ``week`` may be a part.
    """

    week: ScoredWeek
    candidates: List[Candidate]
    challenger: Candidate
    booster: xgboost.Booster
    boosters: Dict[str, xgboost.Booster]
    skipped: List[Dict[str, str]]
    amount_only: float
    test_rows: int


def retrain(lake: Lake, client: MlflowClient, request: Request, settings: Settings) -> Dict[str, Any]:
    """Train a challenger, compare it, record everything in an MLflow run with the tag ``retrain_run_id``.

    Returns:
        The content of ``decision.json``.
    """
    tags = {tracking.RUN_TAG: request.run_id, "dry_run": str(request.dry_run)}
    tags.update(descriptions.run_tags(request.release))
    seconds: Dict[str, float] = {}
    with mlflow.start_run(run_name=request.run_id, tags=tags) as run:
        descriptions.describe_experiment(client, run.info.experiment_id)
        data = load(lake, request.as_of, settings, seconds)
        with step("train", seconds) as say:
            booster = model.train(data.train, settings.features, data.counts["train_rows"], settings.seed)
            say(f"{booster.num_boosted_rounds()} trees, {len(settings.features)} features")
        versions = tracking.competitors(client, request.model, settings.earlier)
        with step("score", seconds) as say:
            fair, late = tracking.fair(versions, data.split.test)
            entrants = score(data, request.model, booster, fair, settings.most_scored)
            entrants = replace(entrants, skipped=[*late, *entrants.skipped])
            say(f"{len(entrants.week.labels)} test rows, {len(entrants.candidates)} models")
        with step("register", seconds) as say:
            entrants, text = register(entrants, client, request, data)
            say(text)
        with step("decide", seconds) as say:
            memory = remember(lake, request.model, data, entrants, settings)
            verdict = decide(versions, fair, entrants, memory, settings)
            say(f"{verdict['action']}: {verdict['reason']}")
        decision = {
            "run_id": request.run_id,
            "mlflow_run_id": run.info.run_id,
            **describe(data, versions, entrants, verdict),
            "evidence": memory and memory.to_dict(),
            "dry_run": request.dry_run,
        }
        if not request.dry_run:
            with step("watch", seconds) as say:
                rows = drift.sample(data.test, entrants.test_rows)
                left = [drift.record(lake, request.model, decision, rows, entrants.boosters)]
                left += [evidence.record(lake, request.model, request.run_id, memory.week)] if memory else []
                say(", ".join(left))
        with step("report") as say:
            quality = records.quality(lake, request.run_id)
            found = gather.retrain(lake, request, settings, data, entrants, decision, quality, seconds)
            written = pages.written(found)
            say(found.headline)
        with step("record"):
            client.log_inputs(run.info.run_id, inputs(lake, data, entrants))
            version = None if entrants.challenger.version == UNREGISTERED else entrants.challenger.version
            if version:
                descriptions.describe_version(client, request.model, decision, run.info)
            record(decision, data, settings, entrants, records.as_metrics(quality), written)
            if version:
                tracking.keep_card(client, request.model, version, written[CARD])
        return decision


def load(lake: Lake, as_of: Optional[date], settings: Settings, seconds: Optional[Dict[str, float]] = None) -> Data:
    """Train and test rows of a retrain on ``as_of`` out of the prepared lake."""
    manifests = list(lake.manifests().values())
    if not prepared_days(manifests):
        raise RetrainingError(f"{lake.files.root} has no prepared day; run prepare first")
    as_of, split, why, ripe = windows(manifests, as_of, settings, datetime.now(timezone.utc).date())
    log.info("as of %s: %s; %s", as_of, why, ripe.why)
    first = first_day_needed(split)
    used = sorted(manifest["digest"] for manifest in manifests if lake.part_paths([manifest], first, split.test.last))
    digest = hashlib.sha256(" ".join(used).encode()).hexdigest()[:16]
    data = make_data(lake.prepared(manifests, first, split.test.last), as_of, split, settings, digest, seconds)
    return replace(data, why=why, ripening=ripe)


def windows(
    manifests: List[Manifest], as_of: Optional[date], settings: Settings, today: date
) -> Tuple[date, Split, str, Ripening]:
    """The day of a retrain, its windows, why that day, and how labels ripen, which the windows depend on.

    Raises:
        RetrainingError: the lake lacks days for it, or the test week is not ripe.
    """
    rows_by_day = prepared_days(manifests)
    newest, why = days.newest_complete(rows_by_day)
    assert newest
    ripe = ripening.estimate(manifests, ripening.lake_day(max(rows_by_day), today), settings.ripe)
    if as_of:
        why = f"asked for; {why}"
    else:
        unlabelled = unlabelled_days(manifests)
        as_of, waits = dataset.labels_arrived(newest + timedelta(1), rows_by_day, unlabelled, ripe.delay)
        why += waits
    split = dataset.split_as_of(as_of, settings.train_days, ripe.delay)
    split = dataset.fit_to_lake(split, list(rows_by_day))
    ripening.check_ripe(split, ripe)
    return as_of, split, why, ripe


def first_day_needed(split: Split) -> date:
    """Oldest day that the features of the train window look at."""
    return split.train.first - timedelta(features.HISTORY_DAYS)


def make_data(
    prepared: DataFrame,
    as_of: date,
    split: Split,
    settings: Settings,
    digest: str,
    seconds: Optional[Dict[str, float]] = None,
) -> Data:
    """Features of prepared rows from ``first_day_needed`` on, cut into train and test."""
    with step("features", seconds) as say:
        rows = features.all_features(prepared)
        rows = dataset.between(rows, dataset.Days(split.train.first, split.test.last)).persist()
        train = dataset.between(rows, split.train)
        labels, of_test = dataset.labels(rows, split)
        frauds, genuine = labels.get(1, 0), labels.get(0, 0)
        say(f"as of {as_of}, {genuine + frauds} rows in the train window {split.train}, {frauds} frauds")
    dataset.check_labels(labels, of_test, split)
    return Data(
        as_of=as_of,
        split=split,
        train=dataset.sample_negatives(train, genuine, settings.most_negatives, settings.seed),
        test=dataset.holdout(rows, split, (split.delay.last - split.delay.first).days + 1).persist(),  # read five times
        counts={
            "train_rows": frauds + min(genuine, settings.most_negatives),
            "train_frauds": frauds,
            "train_rows_without_label": labels.get(None, 0),
            "test_rows_without_label": of_test.get(None, 0),
        },
        digest=digest,
    )


def score(data: Data, name: str, booster: xgboost.Booster, versions: List[Version], most: int) -> Entrants:
    """Score the test week with the challenger and every earlier version that can be loaded, in one pass.

    Of a week with more than ``most`` rows a share of its customers is scored: the scores are compared in the driver.
    """
    boosters, skipped = tracking.load_boosters(name, versions, data.test.columns)
    test_rows = data.test.count()
    test = dataset.sample_customers(data.test, test_rows, most)
    scored = model.score(test, {**boosters, CHALLENGER: booster}, KEYS).toPandas()
    scored = scored.sort_values("transaction_id", ignore_index=True)
    week = scored_week(scored)
    roles = {version.version: version.role for version in versions}
    candidates = []
    for key in [*boosters, CHALLENGER]:
        scores = scored[key].to_numpy()
        candidates.append(Candidate(key, roles.get(key, CHALLENGER), metrics(week, scores), scores))
    amount_only = float(average_precision_score(week.labels, scored["tx_amount"]))
    return Entrants(week, candidates, candidates[-1], booster, boosters, skipped, amount_only, test_rows)


def register(entrants: Entrants, client: MlflowClient, request: Request, data: Data) -> Tuple[Entrants, str]:
    """Register the challenger if it beats ranking by amount alone, else leave it out of the tournament.

    Returns:
        The entrants with the challenger's version, or without it; and what happened, in words.
    """
    challenger, others = entrants.challenger, entrants.candidates[:-1]
    found = challenger.metrics["average_precision"]
    if found <= entrants.amount_only:
        text = f"refused: AP {found:.3f} is not above ranking by amount alone, {entrants.amount_only:.3f}"
        return replace(entrants, candidates=others, challenger=replace(challenger, version=None)), text
    if request.dry_run:
        challenger = replace(challenger, version=UNREGISTERED)
        text = f"a dry run: it would become a version of {request.model}"
        return replace(entrants, candidates=[*others, challenger], challenger=challenger), text
    example = data.test.orderBy("transaction_id").limit(5).toPandas()
    version = tracking.register(client, request.model, entrants.booster, example, data.split.train.last)
    challenger, boosters = replace(challenger, version=version), {**entrants.boosters, version: entrants.booster}
    entrants = replace(entrants, candidates=[*others, challenger], challenger=challenger, boosters=boosters)
    return entrants, f"version {version} of {request.model}"


def remember(lake: Lake, model: str, data: Data, entrants: Entrants, settings: Settings) -> Optional[Memory]:
    """What the candidates have shown against the champion, this week and before; None if none was compared."""
    found = tournament.gains(entrants.week, entrants.candidates, settings.gate, settings.seed)
    if not found:
        return None
    champion = next(str(one.version) for one in entrants.candidates if one.role == "champion")
    return evidence.remember(lake, model, Week(data.split.test, champion, found), settings.gate.margin)


def decide(
    versions: List[Version], fair: List[Version], entrants: Entrants, memory: Optional[Memory], settings: Settings
) -> Dict[str, Any]:
    """The tournament's verdict; none of a champion that has seen the test week."""
    unmeasured = next((v.version for v in versions if v.role == "champion" and v not in fair), None)
    if unmeasured:
        return tournament.not_comparable(unmeasured)
    seen = memory.seen if memory else None
    return tournament.decide(entrants.week, entrants.candidates, settings.gate, settings.seed, seen)


def describe(data: Data, versions: List[Version], entrants: Entrants, verdict: Dict[str, Any]) -> Dict[str, Any]:
    """Content of ``decision.json``, but what names the run. A champion that could not be loaded has null metrics."""
    scored = {candidate.version: candidate.metrics for candidate in entrants.candidates}
    champion = next((version.version for version in versions if version.role == "champion"), None)
    return {
        "as_of": data.as_of.isoformat(),
        "as_of_reason": data.why,
        "windows": data.split.to_dict(),
        "labels": data.ripening and data.ripening.to_dict(),
        "champion": {"version": champion, "metrics": scored.get(champion)} if champion else None,
        "challenger": {"version": entrants.challenger.version, "metrics": entrants.challenger.metrics},
        "candidates": [candidate.to_dict() for candidate in entrants.candidates],
        "skipped": entrants.skipped,
        "amount_only_average_precision": entrants.amount_only,
        **verdict,
    }


def inputs(lake: Lake, data: Data, entrants: Entrants) -> List[DatasetInput]:
    """The rows that were trained on and tested with, for MLflow."""
    rows = {"train": data.counts["train_rows"], "test": entrants.test_rows}
    return descriptions.inputs(lake.files.path("prepared"), data.digest, data.split.to_dict(), rows, data.train.columns)


def record(
    decision: Dict[str, Any],
    data: Data,
    settings: Settings,
    entrants: Entrants,
    quality: Dict[str, int],
    written: Dict[str, str],
) -> None:
    """Write parameters, metrics and artifacts to the active MLflow run; ``decision.json`` comes last."""
    counts = {**data.counts, "test_rows": len(entrants.week.labels), "test_frauds": int(entrants.week.labels.sum())}
    chosen = {**asdict(settings), **model.PARAMETERS, "version": __version__, "data_digest": data.digest}
    gate = chosen.pop("gate")
    mlflow.log_params({**chosen, "features": ",".join(settings.features), "as_of": decision["as_of"]})
    mlflow.log_params({f"gate_{key}": value for key, value in gate.items()})
    mlflow.log_params({f"{window}_days_used": " .. ".join(days) for window, days in decision["windows"].items()})
    mlflow.log_metrics({**tracking.flat("", entrants.challenger.metrics), **tracking.flat("", {**counts, **quality})})
    for candidate in entrants.candidates:
        mlflow.log_metrics(tracking.flat(f"version_{candidate.version}_", candidate.metrics))
    for name, text in written.items():
        mlflow.log_text(text, name)
    mlflow.set_tag(descriptions.DESCRIPTION_TAG, written[SHORT])  # what the run's page shows first
    mlflow.log_dict(decision, "decision.json")
