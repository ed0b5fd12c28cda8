"""Is the champion still made for the data that arrive? Comparisons of small histograms, without a cluster.

There are three kinds of windows, and each is judged against the champion's reference:

* a **raw file** that begins after the champion's test week. Its amounts and hours are counted here, from a sample of
  the file, and compared with those of the files that the champion was trained and tested on, without a run in between.
* a **run** of `retrain`. All the model's inputs and the champion's scores in the run's newest labelled week were
  counted on the run's cluster, and the champion's average precision there was measured, now that labels had arrived.
* a **week in service**. What the champion scored then was measured by the job `score`, once the labels had arrived.

A window violates if a population stability index is above `max_psi`, or the average precision has fallen by more
than `max_loss` since the champion won, or if what it won with lies above the interval of a week in service. If `ENOUGH`
of the `LAST` windows of one kind violate, a retrain is asked for; windows that were asked for once do not count again.
A stale lake or many bad rows are alarms for a person: a retrain on the same data would mend neither.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dags.retraining import drift, lake, raw_files

LAST, ENOUGH = 5, 2
DEFAULTS = {"max_age_days": 8.0, "max_quarantine": 0.005, "max_psi": 0.25, "max_loss": 0.05}
STATE, REPORT = "monitor/state.json", "monitor/report.json"


def measure(s3: Any, settings: Mapping[str, Any], champion: str | None, now: datetime) -> dict[str, Any]:
    """All findings; also written to `monitor/report.json` in the lake.

    Args:
        champion: the version that serves, or None.

    Returns:
        `alarms` for a person; `files`, `runs` and `weeks`, the windows since the champion was trained; `because`, why
        a retrain is wanted, one line a window (empty: it is not); `windows`, their names.
    """
    bucket, limits = settings["lake_bucket"], DEFAULTS | settings.get("monitor", {})
    raw = lake.objects(s3, bucket, "raw/")
    raw = {name: item for name, item in sorted(raw.items()) if lake.is_raw(name)}
    alarms = stale(raw, now, limits["max_age_days"]) + dirty(s3, bucket, list(raw), limits["max_quarantine"])
    files, runs, weeks = [], [], []
    reference = lake.read(s3, bucket, f"monitor/reference/{settings['model']}-{champion}.json") if champion else None
    if champion and not reference:
        alarms.append(
            f"version {champion} has no reference in the lake: drift is measured again from the next champion on"
        )
    if reference:
        files = file_windows(s3, bucket, raw, reference, limits)
        runs = run_windows(s3, bucket, reference, limits)
        weeks = service_windows(s3, bucket, reference)
    asked = (lake.read(s3, bucket, STATE) or {}).get("asked", [])
    wanted = [window for windows in (files, runs, weeks) for window in enough(windows, asked)]
    findings = {
        "champion": champion,
        "measured": now.isoformat(timespec="seconds"),
        "alarms": alarms,
        "files": files,
        "runs": runs,
        "weeks": weeks,
        "windows": [window["name"] for window in wanted],
        "because": [f"{window['name']} {'; '.join(window['violations'])}" for window in wanted],
    }
    lake.write(s3, bucket, REPORT, findings)
    return findings


def enough(windows: Sequence[Mapping[str, Any]], asked: Iterable[str]) -> list[Mapping[str, Any]]:
    """The violating windows among the last five, oldest first, if they are at least two; none were asked for before."""
    answered = set(asked)
    bad = [window for window in windows[-LAST:] if window["violations"] and window["name"] not in answered]
    return bad if len(bad) >= ENOUGH else []


def file_windows(s3: Any, bucket: str, raw: Mapping[str, Any], reference: Mapping[str, Any], limits: Any) -> list[dict]:
    """Windows of the newest raw files that begin after the champion's test week, oldest first."""
    windows = reference["windows"]
    known, later = raw_files.split(list(raw), windows["test"], windows["train"][0])
    expected = [counted(s3, bucket, name, raw[name]) for name in known]
    if not expected:
        return []
    return [
        drift.judge_file(name, reference["version"], counted(s3, bucket, name, raw[name]), expected, limits["max_psi"])
        for name in later[-LAST:]
    ]


def run_windows(s3: Any, bucket: str, reference: Mapping[str, Any], limits: Any) -> list[dict]:
    """Windows of the newest runs in which the champion was compared, oldest first."""
    names = lake.names(s3, bucket, "monitor/runs/")
    runs = [run for name in names if (run := lake.read(s3, bucket, f"monitor/runs/{name}"))]
    ours = [run for run in runs if (run["model"], run["version"]) == (reference["model"], reference["version"])]
    ours.sort(key=lambda run: run["as_of"])
    return [drift.judge_run(run, reference, limits["max_psi"], limits["max_loss"]) for run in ours[-LAST:]]


def service_windows(s3: Any, bucket: str, reference: Mapping[str, Any]) -> list[dict]:
    """Windows of the newest measured weeks in which the champion served, oldest first."""
    mondays = [name for name in lake.names(s3, bucket, "service/") if name[0].isdigit()]
    found = [lake.read(s3, bucket, f"service/{name}") for name in mondays[-LAST:]]
    judged = (drift.judge_week(week, reference) for week in found if week and week["model"] == reference["model"])
    return [window for window in judged if window]


def newest(raw: Mapping[str, Any]) -> str:
    """The raw file that came last; of several that came in one second, that of the newest days."""
    return max(raw, key=lambda name: (raw[name]["LastModified"], name))


def stale(raw: Mapping[str, Any], now: datetime, most: float) -> list[str]:
    """An alarm if no raw file has arrived for too long."""
    if not raw:
        return ["the lake has no raw file; are they delivered to raw/ of the bucket?"]
    last = newest(raw)
    days = (now - raw[last]["LastModified"]).total_seconds() / 86400
    return (
        [f"no raw file for {days:.1f} days, at most {most:g} are allowed; the newest is {last}"] if days > most else []
    )


def dirty(s3: Any, bucket: str, names: Sequence[str], most: float) -> list[str]:
    """Alarms if too many rows of one of the newest prepared files went to quarantine."""
    prepared = sorted(set(lake.names(s3, bucket, "manifest/")) & {f"{name}.json" for name in names})
    alarms = []
    for name in prepared[-LAST:]:
        manifest = lake.read(s3, bucket, f"manifest/{name}") or {}
        share = sum(manifest["quarantined"].values()) / max(manifest["rows"], 1)
        if share > most:
            alarms.append(
                f"{manifest['file']}: {share:.2%} of the rows are in quarantine, at most {most:.2%} are allowed"
            )
    return alarms


def counted(s3: Any, bucket: str, name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """Histograms of a raw file, from `monitor/raw/` if they are of this very object; else counted and kept there."""
    key = f"monitor/raw/{name}.json"
    kept = lake.read(s3, bucket, key)
    if kept and kept["etag"] == item["ETag"]:
        return kept
    rows = raw_files.sample(s3, bucket, f"raw/{name}", item["Size"])
    found = raw_files.count(rows) | {"file": name, "etag": item["ETag"]}
    print(f"counted {found['rows']} rows of {name}")
    lake.write(s3, bucket, key, found)
    return found


def remember(s3: Any, bucket: str, windows: Sequence[str], run_id: str) -> None:
    """Adds windows to those that a retrain was asked for; doing it twice changes nothing."""
    asked = (lake.read(s3, bucket, STATE) or {}).get("asked", [])
    asked += [name for name in windows if name not in asked]
    lake.write(s3, bucket, STATE, {"asked": asked, "newest": run_id})


def text(findings: Mapping[str, Any]) -> str:
    """The findings, for a task's log."""
    lines = [
        f"champion: version {findings['champion'] or 'none'}",
        *(f"alarm: {alarm}" for alarm in findings["alarms"]),
    ]
    for window in [*findings["files"], *findings["runs"], *findings["weeks"]]:
        worst = max(window["psi"], key=window["psi"].get, default=None)
        said = "; ".join(window["violations"]) or (
            f"fine, the largest PSI is {window['psi'][worst]:.3f} ({worst})" if worst else "fine"
        )
        lines.append(f"{window['name']}: {said}")
    return "\n".join([*lines, "a retrain is wanted" if findings["because"] else "no retrain is wanted"])
