"""Is the champion still made for the data that arrive? Comparisons of small histograms, without a cluster.

There are two kinds of windows, and each is judged against the champion's reference:

* a **raw file** that begins after the champion's test week. Its amounts and hours are counted here, from a sample of
  the file, and compared with those of the files that the champion was trained and tested on, without a run in between.
* a **run** of `retrain`. All the model's inputs and the champion's scores in the run's newest labelled week were
  counted on the run's cluster, and the champion's average precision there was measured, now that labels had arrived.

A window violates where a population stability index is above `max_psi`, or the average precision has fallen by more
than `max_loss` since the champion won. Where `ENOUGH` of the `LAST` windows of one kind violate, a retrain is asked
for; windows that were asked for once do not count again. A stale lake or many bad rows are alarms for a person: a
retrain on the same data would mend neither.
"""

import gzip
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, takewhile
from typing import Any

from dags.retraining import lake

LAST, ENOUGH = 5, 2
DEFAULTS = {"max_age_days": 8.0, "max_quarantine": 0.005, "max_psi": 0.25, "max_loss": 0.05}
STATE, REPORT = "monitor/state.json", "monitor/report.json"
BINS = 10
FLOOR = 1e-4  # share of an empty bin: the logarithm needs one

BLOCK, BLOCKS = 256 << 10, 64  # bytes and number of the pieces that are read of a large plain file
MOST_ROWS = 500_000  # that are read of a packed one, from its beginning
COLUMNS, TIME, AMOUNT = 9, 1, 4  # of a raw row


# ------------------------------------------------------------------------------------------------ arithmetic
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


def enough(windows: Sequence[Mapping[str, Any]], asked: Iterable[str]) -> list[Mapping[str, Any]]:
    """The violating windows among the last five, oldest first, if they are at least two; none were asked for before."""
    answered = set(asked)
    bad = [window for window in windows[-LAST:] if window["violations"] and window["name"] not in answered]
    return bad if len(bad) >= ENOUGH else []


# ------------------------------------------------------------------------------------------------ raw files
def sample(s3: Any, bucket: str, key: str, size: int) -> Iterator[bytes]:
    """Rows of a raw object, without line ends: all of a small one, pieces spread evenly over a large one."""
    if key.endswith(".gz"):
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        lines = islice(gzip.GzipFile(fileobj=body), MOST_ROWS)
        yield from (line.rstrip(b"\r\n") for line in lines)
    elif size <= BLOCK * BLOCKS:
        yield from s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    else:
        for number in range(BLOCKS):
            first = number * (size - BLOCK) // (BLOCKS - 1)
            piece = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{first + BLOCK - 1}")["Body"].read()
            yield from piece.splitlines()[1:-1]  # the first and the last are cut


def count(rows: Iterable[bytes]) -> dict[str, Any]:
    """Histograms of raw rows: amounts in quarters of an octave, hours of the day; and how many are not such rows."""
    amounts: Counter[int] = Counter()
    hours: Counter[int] = Counter()
    bad = 0
    for row in rows:
        if row.startswith(b"#"):
            continue
        fields = row.split(b",")
        try:
            hour, octave = int(fields[TIME].strip()[11:13]), math.log2(float(fields[AMOUNT]))
            if len(fields) != COLUMNS or not 0 <= hour < 24:
                raise ValueError
            bin_ = math.floor(4 * octave)
        except (ValueError, IndexError, OverflowError):
            bad += 1
            continue
        hours[hour] += 1
        amounts[bin_] += 1
    return {"rows": sum(hours.values()) + bad, "bad": bad, "amount": dict(amounts), "hour": dict(hours)}


def merged(histograms: Iterable[Mapping[str, Any]], name: str) -> dict[int, int]:
    """Sum of one histogram over files (JSON has turned its keys into text)."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update({int(key): value for key, value in histogram[name].items()})
    return dict(total)


def split(names: Sequence[str], test: Sequence[str], first: str) -> tuple[list[str], list[str]]:
    """Raw files by what they are to the champion: those of its train and test windows, and those that begin later.

    Args:
        names: raw files, oldest first, each named by its first day; it ends where the next one begins.
        test, first: the champion's test week, and the first day of its train window.
    """
    later = [name for name in names if name[:10] > test[1]]
    known = [name for name in names if name[:10] <= test[1]]
    begins = [name[:10] for name in known]
    before = sum(1 for _ in takewhile(lambda day: day <= first, begins[1:]))
    return known[before:], later


# ------------------------------------------------------------------------------------------------ windows
def judge_file(
    name: str, version: str, found: Mapping[str, Any], known: Sequence[Mapping[str, Any]], most: float
) -> dict:
    """Window of one raw file."""
    indices = {what: psi(*coarsen(merged(known, what), merged([found], what))) for what in ("amount", "hour")}
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


def _window(name: str, indices: Mapping[str, float], most: float) -> dict[str, Any]:
    violations = [
        f"PSI of {what} is {value:.2f}, at most {most:.2f} is allowed"
        for what, value in indices.items()
        if value > most
    ]
    return {"name": name, "psi": {what: round(value, 4) for what, value in indices.items()}, "violations": violations}


# ------------------------------------------------------------------------------------------------ the lake
def measure(s3: Any, settings: Mapping[str, Any], champion: str | None, now: datetime) -> dict[str, Any]:
    """All findings; also written to `monitor/report.json` in the lake.

    Args:
        champion: the version that serves, or None.

    Returns:
        `alarms` for a person; `files` and `runs`, the windows since the champion was trained; `because`, why a retrain
        is wanted, one line a window (empty: it is not); `windows`, their names.
    """
    bucket, limits = settings["lake_bucket"], DEFAULTS | settings.get("monitor", {})
    raw = objects(s3, bucket, "raw/")
    raw = {name: item for name, item in sorted(raw.items()) if lake.is_raw(name)}
    alarms = stale(raw, now, limits["max_age_days"]) + dirty(s3, bucket, list(raw), limits["max_quarantine"])
    files, runs = [], []
    reference = read(s3, bucket, f"monitor/reference/{settings['model']}-{champion}.json") if champion else None
    if champion and not reference:
        alarms.append(
            f"version {champion} has no reference in the lake: drift is measured again from the next champion on"
        )
    if reference:
        files = file_windows(s3, bucket, raw, reference, limits)
        runs = run_windows(s3, bucket, reference, limits)
    asked = (read(s3, bucket, STATE) or {}).get("asked", [])
    wanted = [window for windows in (files, runs) for window in enough(windows, asked)]
    findings = {
        **{"champion": champion, "measured": now.isoformat(timespec="seconds"), "alarms": alarms},
        **{"files": files, "runs": runs, "windows": [window["name"] for window in wanted]},
        "because": [f"{window['name']} {'; '.join(window['violations'])}" for window in wanted],
    }
    write(s3, bucket, REPORT, findings)
    return findings


def file_windows(s3: Any, bucket: str, raw: Mapping[str, Any], reference: Mapping[str, Any], limits: Any) -> list[dict]:
    """Windows of the newest raw files that begin after the champion's test week, oldest first."""
    windows = reference["windows"]
    known, later = split(list(raw), windows["test"], windows["train"][0])
    expected = [counted(s3, bucket, name, raw[name]) for name in known]
    if not expected:
        return []
    return [
        judge_file(name, reference["version"], counted(s3, bucket, name, raw[name]), expected, limits["max_psi"])
        for name in later[-LAST:]
    ]


def run_windows(s3: Any, bucket: str, reference: Mapping[str, Any], limits: Any) -> list[dict]:
    """Windows of the newest runs in which the champion was compared, oldest first."""
    names = lake.names(s3, bucket, "monitor/runs/")
    runs = [run for name in names if (run := read(s3, bucket, f"monitor/runs/{name}"))]
    ours = [run for run in runs if (run["model"], run["version"]) == (reference["model"], reference["version"])]
    ours.sort(key=lambda run: run["as_of"])
    return [judge_run(run, reference, limits["max_psi"], limits["max_loss"]) for run in ours[-LAST:]]


def stale(raw: Mapping[str, Any], now: datetime, most: float) -> list[str]:
    """An alarm where no raw file has arrived for too long."""
    if not raw:
        return ["the lake has no raw file; are they delivered to raw/ of the bucket?"]
    newest = max(raw, key=lambda name: raw[name]["LastModified"])
    days = (now - raw[newest]["LastModified"]).total_seconds() / 86400
    return (
        [f"no raw file for {days:.1f} days, at most {most:g} are allowed; the newest is {newest}"]
        if days > most
        else []
    )


def dirty(s3: Any, bucket: str, names: Sequence[str], most: float) -> list[str]:
    """Alarms where too many rows of one of the newest prepared files went to quarantine."""
    prepared = sorted(set(lake.names(s3, bucket, "manifest/")) & {f"{name}.json" for name in names})
    alarms = []
    for name in prepared[-LAST:]:
        manifest = read(s3, bucket, f"manifest/{name}") or {}
        share = sum(manifest["quarantined"].values()) / max(manifest["rows"], 1)
        if share > most:
            alarms.append(
                f"{manifest['file']}: {share:.2%} of the rows are in quarantine, at most {most:.2%} are allowed"
            )
    return alarms


def counted(s3: Any, bucket: str, name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """Histograms of a raw file, from `monitor/raw/` where they are of this very object; else counted and kept there."""
    key = f"monitor/raw/{name}.json"
    kept = read(s3, bucket, key)
    if kept and kept["etag"] == item["ETag"]:
        return kept
    found = count(sample(s3, bucket, f"raw/{name}", item["Size"])) | {"file": name, "etag": item["ETag"]}
    print(f"counted {found['rows']} rows of {name}")
    write(s3, bucket, key, found)
    return found


def remember(s3: Any, bucket: str, windows: Sequence[str], run_id: str) -> None:
    """Adds windows to those that a retrain was asked for; doing it twice changes nothing."""
    asked = (read(s3, bucket, STATE) or {}).get("asked", [])
    write(s3, bucket, STATE, {"asked": [*asked, *(name for name in windows if name not in asked)], "newest": run_id})


def objects(s3: Any, bucket: str, prefix: str) -> dict[str, Any]:
    """Objects right under `prefix` by name, with their Size, ETag and LastModified."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return {item["Key"][len(prefix) :]: item for page in pages for item in page.get("Contents", ())}


def read(s3: Any, bucket: str, key: str) -> Any | None:
    """A JSON object of the lake, or None."""
    try:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def write(s3: Any, bucket: str, key: str, value: Any) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=io.BytesIO(json.dumps(value, indent=1).encode()))


# ------------------------------------------------------------------------------------------------ people
def text(findings: Mapping[str, Any]) -> str:
    """The findings, for a task's log."""
    lines = [
        f"champion: version {findings['champion'] or 'none'}",
        *(f"alarm: {alarm}" for alarm in findings["alarms"]),
    ]
    for window in [*findings["files"], *findings["runs"]]:
        worst = max(window["psi"], key=window["psi"].get, default=None)
        said = "; ".join(window["violations"]) or (
            f"fine, the largest PSI is {window['psi'][worst]:.3f} ({worst})" if worst else "fine"
        )
        lines.append(f"{window['name']}: {said}")
    return "\n".join([*lines, "a retrain is wanted" if findings["because"] else "no retrain is wanted"])
