"""Keeps the registry small: of each model of accounts.json the newest versions, and every one that somebody holds.

Held are a version with an alias (champion, previous, challenger, any other) and one with a tag of RETENTION_HOLD_TAGS
(`promoted`: it was the champion once).
All others beyond the newest RETENTION_KEEP are listed, in the report and in the journal. They are deleted only if
RETENTION_DELETE is `true`, only if they have been listed for RETENTION_NOTICE days without a break, and only if they
may still go. The report (retention.json in STATE_DIRECTORY) says what is listed since when, and what was deleted.

Deleted is the version. Its run, with its files, stays until somebody deletes that.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient

DAY = 86_400  # seconds


def held(version, tags):
    """Why nobody may delete a version, or nothing."""
    reasons = [f"alias {alias}" for alias in version.aliases]
    return reasons + [f"tag {tag}" for tag in tags if version.tags.get(tag, "false").lower() != "false"]


def versions(client, model):
    """Every version of a model, the newest first."""
    found, token = [], None
    while token != "":
        page = client.search_model_versions(f"name = '{model}'", max_results=200, page_token=token)
        found += page
        token = page.token or ""
    return sorted(found, key=lambda version: -int(version.version))


def beyond(client, model, keep, tags):
    """The versions that may go, each as it is at this moment: a search gives no aliases."""
    for version in versions(client, model)[keep:]:
        now = client.get_model_version(model, version.version)
        if not held(now, tags):
            yield now


def say(line):
    """To the journal; standard output is for what has changed."""
    print(line, file=sys.stderr)


def read(file):
    """When each version was listed first, by its key; nothing before the first report."""
    return {entry["key"]: entry["listed"] for entry in json.loads(file.read_text())["listed"]} if file.exists() else {}


def write(file, report):
    """Whole or not at all."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(report, indent=1))
    new.replace(file)


def day(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def review(client, models, before, now, settings):
    """Deletes what was listed long enough, lists the rest; returns the report. `before`: what `read` returned."""
    report = {"written": day(now), **settings, "listed": [], "deleted": []}
    for model in models:
        for version in beyond(client, model, settings["keep"], settings["hold_tags"]):
            # Its time of creation too: a number may come again in a database that was restored.
            key = f"{model} {version.version} {version.creation_timestamp}"
            since = before.get(key, now)
            entry = {"key": key, "model": model, "version": version.version, "run": version.run_id, "listed": since}
            due = key in before and now - since >= settings["notice_days"] * DAY
            if settings["delete"] and due:
                client.delete_model_version(model, version.version)
                print(f"changed: version {model} {version.version} deleted, listed since {day(since)}")
                say(f"deleted: version {model} {version.version} (run {version.run_id}), listed since {day(since)}")
                report["deleted"].append(entry)
            else:
                say(f"listed: version {model} {version.version} (run {version.run_id}), since {day(since)}")
                report["listed"].append(entry)
    return report


def main():
    settings = {
        "keep": int(os.environ["RETENTION_KEEP"]),
        "delete": os.environ["RETENTION_DELETE"] == "true",
        "notice_days": float(os.environ["RETENTION_NOTICE_DAYS"]),
        "hold_tags": os.environ["RETENTION_HOLD_TAGS"].split(),
    }
    if settings["keep"] < 1:
        say("mlflow_retention_keep is 0: every version is kept")
        return
    os.environ["MLFLOW_TRACKING_USERNAME"] = "admin"
    os.environ["MLFLOW_TRACKING_PASSWORD"] = Path(os.environ["CREDENTIALS_DIRECTORY"], "user-admin").read_text()
    file = Path(os.environ["STATE_DIRECTORY"], "retention.json")
    models = json.loads(Path(os.environ["ACCOUNTS"]).read_text())["models"]
    report = review(MlflowClient(), models, read(file), time.time(), settings)
    write(file, report)
    say(
        f"{len(report['deleted'])} versions deleted, {len(report['listed'])} listed in {file}; "
        f"deleting is {'on' if settings['delete'] else 'off (mlflow_retention_delete)'}"
    )


if __name__ == "__main__":
    main()
