"""What the job `score` leaves in the lake: which files are scored, what a run did, the days' lists of cards."""

import csv
import logging
from collections.abc import Mapping
from typing import Any

from dags.retraining import lake

SHOWN = 5  # cards in a message; the list has them all


def pending(s3: Any, bucket: str) -> list[str]:
    """Raw files that are not scored as they are now, oldest first.

    Only what was written again since is read: what a look costs does not grow with the lake.
    """
    raw = lake.objects(s3, bucket, "raw/")
    prepared, scored = (lake.objects(s3, bucket, prefix) for prefix in ("manifest/", "scores/manifest/"))
    found = []
    for name, item in sorted(raw.items()):
        if not lake.is_raw(name):
            continue
        done, manifest = scored.get(f"{name}.json"), prepared.get(f"{name}.json")
        if done and manifest and max(item["LastModified"], manifest["LastModified"]) < done["LastModified"]:
            continue
        if not (done and manifest and is_scored(s3, bucket, name, item["ETag"])):
            found.append(name)
    return found


def is_scored(s3: Any, bucket: str, name: str, etag: str) -> bool:
    """Whether a raw file is prepared as it is, and scored as it is prepared."""
    manifest = lake.read(s3, bucket, f"manifest/{name}.json") or {}
    done = lake.read(s3, bucket, f"scores/manifest/{name}.json") or {}
    same = str(manifest.get("fingerprint")).strip('"') == etag.strip('"')
    return same and done.get("digest") == manifest["digest"]


def report(s3: Any, bucket: str, run: str | None) -> dict[str, Any] | None:
    """What a run did, with `cards`, the first lines of the newest list that it wrote; None if it scored nothing."""
    found = lake.read(s3, bucket, f"runs/{run}/score.json") if run else None
    if not found:
        return None
    return found | {"cards": cards(s3, bucket, found["alert_days"][-1]) if found["alert_days"] else []}


def cards(s3: Any, bucket: str, day: str) -> list[dict[str, str]]:
    """The most suspicious cards of a day's list."""
    body = s3.get_object(Bucket=bucket, Key=f"alerts/{day}.csv")["Body"].read().decode()
    return list(csv.DictReader(body.splitlines()))[:SHOWN]


def message(found: Mapping[str, Any], bucket: str) -> tuple[str, str, int]:
    """Title, text and level of the alert about a run."""
    lines = [f"{found['rows']} transactions scored by version {found['version']}"]
    title = "score: no new list"
    if found["alert_days"]:
        day = found["alert_days"][-1]
        title = f"score: up to {found['budget']} cards to look at on {day}"
        lines += [line(card) for card in found["cards"]]
        lines.append(f"the list: s3://{bucket}/alerts/{day}.csv; {len(found['alert_days'])} days have a new one")
    lines += [f"week of {monday}: {said}" for monday, said in found["weeks"].items()]
    if found["worse"]:
        title = f"score: a version did worse than it promised in the week of {', '.join(found['worse'])}"
    return title, "\n".join(lines), logging.ERROR if found["worse"] else logging.INFO


def line(card: Mapping[str, str]) -> str:
    """A card of a list, in words."""
    why = ", ".join(card[name] for name in ("reason_1", "reason_2", "reason_3") if card[name])
    return f"{card['rank']}. card {card['customer_id']}, {float(card['score']):.2f}: {why}"
