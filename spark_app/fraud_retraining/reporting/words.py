"""Sentences of the report: what was decided, why a candidate lost, what a figure shows."""

from __future__ import annotations

from datetime import date
from typing import Any, Dict, List, Mapping, Optional, Sequence

from fraud_retraining.evidence import odds
from fraud_retraining.reporting.content import Budget, Card, Drift, Evidence, Report, Standing
from fraud_retraining.tournament import NOR_WEEKS

MUCH_DRIFT, SOME_DRIFT = 0.25, 0.1  # of the PSI, as Siddiqi has it

FEATURES = {
    "tx_amount": "amount",
    "tx_amount_is_high": "amount above the fixed threshold",
    "tx_during_weekend": "at a weekend",
    "tx_during_night": "at night",
    "customer_id_amount_ratio": "amount / card's usual amount",
    "customer_id_nb_high_ratio_14day_window": "card: high amounts, 14 days",
    "customer_id_days_since_first_high_ratio": "card: days since first high amount",
    "terminal_id_last_label": "terminal: last known label",
    "terminal_id_spell_length": "terminal: frauds in a row",
    "terminal_id_days_since_spell_start": "terminal: days of the fraud run",
    "terminal_id_days_since_genuine": "terminal: days since genuine",
}
FAMILIES = {
    "customer_id_nb_tx": "card: transactions",
    "customer_id_avg_amount": "card: mean amount",
    "terminal_id_nb_tx": "terminal: transactions",
    "terminal_id_risk": "terminal: share of frauds",
}
METRICS = {
    "average_precision": "average precision (AP)",
    "roc_auc": "ROC AUC",
    "card_precision_100": "Card Precision@100",
    "brier": "Brier score",
    "calibration": "observed / expected frauds",
}
WINDOWS = {"train": "train", "delay": "labels not used (delay)", "test": "test week"}


def feature(name: str) -> str:
    """An input's short name for people; its own if we have none."""
    family, _, rest = name.rpartition("_")
    family, _, days = family.rpartition("_")
    if rest == "window" and family in FAMILIES:
        return f"{FAMILIES[family]}, {days.replace('day', '')} d"
    return FEATURES.get(name, name)


def day(text: str) -> str:
    """2018-05-06 as 6 May 2018."""
    found = date.fromisoformat(text)
    return f"{found.day} {found:%b %Y}"


def span(days: Any) -> str:
    return f"{day(days[0])} to {day(days[1])}"


def number(value: float) -> str:
    """A count with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def percent(share: float, decimals: int = 0) -> str:
    return f"{100 * share:.{decimals}f} %"


def plain(value: float) -> str:
    """A number with three digits, and no more than that of one that is nearly nothing."""
    return f"{0.0 if abs(value) < 5e-5 else value:.3g}"


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def called(version: Optional[str]) -> str:
    """How a version is named in a sentence."""
    return f"version {version}" if version and version.isdigit() else "the challenger"


def headline(decision: Mapping[str, Any]) -> str:
    """The decision in one plain sentence."""
    action, winner = decision["action"], decision["winner"]
    found = {one["version"]: one["metrics"]["average_precision"] for one in decision["candidates"]}
    week = f"the test week, {span(decision['windows']['test'])}"
    champion = (decision["champion"] or {}).get("version")
    dry = "A dry run, nothing moves: " if decision["dry_run"] else ""
    compared = decision["comparison"]
    if compared:
        other = compared["other"]
        low, high = compared["interval"]
        figures = (
            f"{found[other]:.3f} against {found[champion]:.3f} in average precision on {week}, a difference of"
            f" {compared['gain']:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"
        )
        if decision["decided_by"] == "weeks":
            one = decision["evidence"]["candidates"][winner]
            text = (
                f"{called(winner)} has shown itself better than champion {champion} and shall serve: the evidence of"
                f" {weeks(len(one['weeks']))} is {odds(one['log_e'])}, with a mean gain of {one['mean_gain']:+.3f};"
                f" {figures}."
            )
            return first_up(text, dry)
        if action == "promote":
            return first_up(f"{called(winner)} is better than champion {champion} and shall serve: {figures}.", dry)
        return f"{dry}Champion {champion} stays; {called(other)} is not shown to be better: {figures}."
    if champion:
        return f"{dry}Champion {champion} stays: {decision['reason']}."
    if action == "promote":
        return first_up(
            f"{called(winner)} becomes the first champion: average precision {found[winner]:.3f} on {week}.", dry
        )
    return f"{dry}Nobody serves: {decision['reason']}."


def first_up(sentence: str, before: str = "") -> str:
    return before + sentence[0].upper() + sentence[1:]


def outcome(decision: Mapping[str, Any], version: Optional[str]) -> str:
    """What became of a candidate, and why."""
    if version is None:
        return "is not registered: it does not beat ranking by amount alone"
    passed = {one["version"]: one["reason"] for one in decision["passed_over"]}
    compared = decision["comparison"]
    if decision["action"] == "promote" and version == decision["winner"]:
        return "wins"
    if version == decision["winner"]:
        return "stays champion"
    if version in passed:
        return f"gave way to the next best: {passed[version]}"
    if compared and version == compared["champion"]:
        return f"gives way to {called(decision['winner'])}"
    if compared and version == compared["other"]:
        return "; ".join(lost(decision)) or "lost"
    best = compared["other"] if compared else decision["winner"]
    if decision["decided_by"] == "weeks":
        return f"less evidence than {called(best)}"
    if decision["action"] == "reject":
        return f"refused: {decision['reason'].partition('because ')[2]}"
    return f"lower AP than {called(best)}" if best in found_versions(decision) else "not compared with the champion"


def found_versions(decision: Mapping[str, Any]) -> List[str]:
    return [one["version"] for one in decision["candidates"]]


def lost(decision: Mapping[str, Any]) -> Any:
    """Conditions of the gate that the best of the others did not fulfil, out of the reason."""
    _, _, why = decision["reason"].partition("champion stays because ")
    return [why.partition(NOR_WEEKS)[0]] if why else []


def metrics(values: Mapping[str, float]) -> Dict[str, str]:
    return {label: f"{values[name]:.3f}" for name, label in METRICS.items() if name in values}


def role(one: Any) -> str:
    """A candidate in a legend."""
    return one.role if one.version in ("evaluated", "None", "not registered") else f"{one.version} ({one.role})"


def interval(found: Optional[Sequence[float]], form: str = ".3f") -> str:
    return f"{found[0]:{form}} to {found[1]:{form}}" if found else "not known"


def with_interval(one: Standing, name: str) -> str:
    found = one.intervals.get(name)
    return f"{one.metrics[name]:.3f}" + (f" ({interval(found)})" if found else "")


def budget(one: Budget) -> str:
    """What people find within the budget."""
    compromised, found = sum(day.compromised for day in one.days), sum(day.found for day in one.days)
    money = (
        f", and {percent(one.money_found / one.money)} of the money ({number(one.money_found)} of {number(one.money)})"
    )
    return (
        f"{role(one)}: who checks {one.cards} cards a day finds {found} of {compromised} compromised cards"
        f" ({percent(one.recall)}){money if one.money else ''}."
    )


def drifted(report: Report) -> str:
    """How far the inputs have drifted, in a sentence."""
    if not report.drift:
        return "drift was not measured."
    much = [feature(one.name) for one in report.drift if one.psi > MUCH_DRIFT]
    top = report.drift[0]
    if much:
        return f"drift: {len(much)} of {len(report.drift)} inputs changed much (PSI above 0.25): {', '.join(much)}."
    return f"drift: no input has changed much; the furthest is {feature(top.name)}, PSI {top.psi:.2f}."


def weeks(count: int) -> str:
    return f"{count} week{'' if count == 1 else 's'}"


def over_weeks(found: Evidence) -> str:
    """How strong the evidence over weeks is, and what it may do."""
    above = f"a gain above {found.margin:g}"
    may = f"promotes from {found.needed:.0f} to 1 on" if found.rule == "weeks" else "is shown, and decides nothing here"
    if not found.pairs or not found.pairs[0].weeks:
        return f"no week counts yet since champion {found.champion} serves; it {may}."
    best = found.pairs[0]
    return (
        f"strongest is {called(best.version)}: {odds(best.log_e)} for {above} after"
        f" {weeks(len(best.weeks))} (mean gain {best.mean_gain:+.3f}); it {may}."
    )


def rows(report: Report) -> str:
    """What became of the raw rows, in a sentence."""
    found = report.quality
    if not found:
        return report.absent["quality"]
    bad = sum(found.quarantined.values())
    corrected = sum(1 for one in found.files if one.corrected)
    also = f", {corrected} {'file was' if corrected == 1 else 'files were'} corrected" if corrected else ""
    return (
        f"{number(found.rows)} raw rows came in, {number(found.prepared)} are prepared, {number(bad)} are quarantined"
        f" ({percent(bad / max(1, found.rows), 2)}){also}."
    )


def load_and_score(card: Card) -> str:
    """Five lines that load a registered version and score with it."""
    return "\n".join(
        [
            "import mlflow",
            "import pandas as pd",
            f'model = mlflow.pyfunc.load_model("models:/{card.model}/{card.version}")',
            'rows = pd.read_parquet("features")',
            'rows["score"] = model.predict(rows)',
        ]
    )


def histogram(one: Drift) -> str:
    """What a small histogram shows, for whoever does not see it."""
    most = [shares.index(max(shares)) if shares else 0 for shares in (one.train, one.week)]
    low = [f"{plain(one.edges[place])} to {plain(one.edges[place + 1])}" for place in most]
    return f"{feature(one.name)}: most rows lie at {low[0]} in the train window, at {low[1]} in the week"
