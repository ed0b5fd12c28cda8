"""What small files in the lake say: the rows that `prepare` took, and how the champions did."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from fraud_retraining import drift
from fraud_retraining.lake import Lake, at_once
from fraud_retraining.quality import RULE_NAMES
from fraud_retraining.reporting.content import Change, History, Point, Quality, RawFile

FILES = 30  # of a run that are listed
RECORDS = 60  # the newest of each kind that are read: more than a year of weeks


def quality(lake: Lake, run_id: str) -> Optional[Quality]:
    """Rows of the run's ``prepare``, by rule and file; None if it did not run."""
    path = f"runs/{run_id}/prepare.json"
    if not lake.files.exists(path):
        return None
    found = lake.files.read_json(path)
    manifests = at_once(lake.files.read_json, [f"manifest/{name}.json" for name in found["files"]])
    files = [
        RawFile(one["file"], one["rows"], one["prepared"], one["quarantined"], one.get("corrected") or {})
        for one in manifests
    ]
    files.sort(key=lambda one: (-bool(one.corrected), -sum(one.quarantined.values()), one.name))
    return Quality(
        rows=found["rows"],
        prepared=found["prepared"],
        quarantined=found["quarantined"],
        unlabelled=found["unlabelled"],
        files=sorted(files[:FILES], key=lambda one: one.name),
        more=max(0, len(files) - FILES),
        seconds=found["seconds"],
    )


def as_metrics(found: Optional[Quality]) -> Dict[str, int]:
    """Rows prepared and quarantined, by rule, as metrics of an MLflow run; none if ``prepare`` did not run."""
    if found is None:
        return {}
    by_rule = {f"quarantined_{rule}": found.quarantined.get(rule, 0) for rule in RULE_NAMES}
    return {"prepared_rows": found.prepared, "quarantined_rows": sum(by_rule.values()), **by_rule}


def history(lake: Lake, model: str, decision: Mapping[str, Any]) -> Optional[History]:
    """Every champion that is known, with this retrain's comparison; None if nobody has ever served."""
    changes = changes_of(lake)
    retrains = [run for run in newest(lake, "monitor/runs") if run["model"] == model]
    weeks = [week for week in newest(lake, "service") if week.get("model") == model and "versions" in week]
    versions = {change.after for change in changes} | {run["version"] for run in retrains}
    if decision["champion"]:
        versions.add(decision["champion"]["version"])
    if decision["action"] == "promote":
        versions.add(decision["winner"])
    found = [
        *(point for version in sorted(filter(None, versions)) for point in chosen(lake, model, version)),
        *(Point(run["version"], run["windows"]["test"][1], "retrain", run["average_precision"]) for run in retrains),
        *(point for week in weeks for point in in_service(week)),
        *now(decision),
    ]
    points = list({(one.version, one.day, one.kind): one for one in found}.values())
    return History(sorted(points, key=lambda one: (one.day, one.version)), changes) if points or changes else None


def newest(lake: Lake, folder: str) -> List[Any]:
    """The newest small files of a folder, by name."""
    names = [info.name for info in lake.files.list(folder) if info.name.endswith(".json") and info.name != "made.json"]
    return at_once(lake.files.read_json, [f"{folder}/{name}" for name in names[-RECORDS:]])


def changes_of(lake: Lake) -> List[Change]:
    """Changes that have happened, of the newest records (dags/retraining/history.py)."""
    names = [info.name for info in lake.files.list("history")]
    numbers = sorted(name[:8] for name in names if name.endswith(".done.json"))[-RECORDS:]
    ends = at_once(lake.files.read_json, [f"history/{number}.done.json" for number in numbers])
    told = at_once(lake.files.read_json, [f"history/{number}.json" for number in numbers])
    return [
        Change(one["when"], one["action"], one.get("from"), one.get("to"), one.get("by", ""), one.get("why", ""))
        for one, end in zip(told, ends)
        if end.get("outcome") == "done" and one.get("from") != one.get("to")
    ]


def chosen(lake: Lake, model: str, version: str) -> List[Point]:
    """AP of a version on the week that it was chosen on."""
    path = drift.reference_path(model, version)
    if not lake.files.exists(path):
        return []
    known = lake.files.read_json(path)
    return [Point(version, known["windows"]["test"][1], "chosen", known["average_precision"])]


def in_service(week: Mapping[str, Any]) -> List[Point]:
    return [
        Point(version, week["week"][1], "service", one["average_precision"], one["interval"], one["promised"])
        for version, one in week["versions"].items()
        if one["average_precision"] is not None
    ]


def now(decision: Mapping[str, Any]) -> List[Point]:
    """This retrain's own comparison: the champion's week, and the winner's."""
    day = decision["windows"]["test"][1]
    metrics = {one["version"]: one["metrics"]["average_precision"] for one in decision["candidates"]}
    found = []
    champion = decision["champion"]["version"] if decision["champion"] else None
    if champion and champion in metrics:
        found.append(Point(champion, day, "retrain", metrics[champion]))
    if decision["action"] == "promote" and decision["winner"] in metrics:
        found.append(Point(decision["winner"], day, "chosen", metrics[decision["winner"]]))
    return found
