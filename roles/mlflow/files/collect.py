"""Removes for good what users deleted long enough ago, as `mlflow gc` does, but nothing that a version refers to.

`mlflow gc` looks at nothing but the deletion: it takes the files from under the champion if somebody has tidied up its
run. What is kept for a version is reported. Prints `changed: …` for what it removed.
"""

import os
import re
import sys
import time
from datetime import timedelta

from mlflow.entities import ViewType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel, SqlRun
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

DELETED = "Deleted_Internal"  # the stage of a version that is gone
UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def segments(location):
    """`s3://bucket/a/b/` as (s3, bucket, a, b); without mlflow-artifacts' host, since one place has many."""
    location = re.sub(r"^(mlflow-artifacts:)(//[^/]*)?", r"\1", location or "")
    return tuple(part for part in re.split(r"[/:]+", location.partition("?")[0]) if part)


def overlap(one, other):
    """Whether one of two places lies in the other."""
    return bool(one and other) and one[: len(other)] == other[: len(one)]


def references(registry):
    """Every version that there is, as (name, run's id, places of its files)."""
    with registry.ManagedSessionMaker() as session:
        versions = session.query(SqlModelVersion).filter(SqlModelVersion.current_stage != DELETED).all()
        return [
            (
                f"{version.name} {version.version}",
                version.run_id,
                [*map(segments, {version.source, version.storage_location})],
            )
            for version in versions
        ]


def holder(registry, identity, location):
    """The first version that refers to a run or a logged model, by its id or by the place of its files; or None."""
    place = segments(location)
    for name, run, places in references(registry):
        named = identity == run or any(identity in other for other in places)
        if named or any(overlap(place, other) for other in places):
            return name
    return None


def remove(what, identity, location, registry, forget):
    """Removes one thing with its files; returns whether that failed. What a version refers to is reported instead."""
    version = holder(registry, identity, location)
    if version:
        print(f"kept: {what} {identity} is deleted, but version {version} refers to it", file=sys.stderr)
        return False
    try:
        get_artifact_repository(location).delete_artifacts()
        forget(identity)
    except Exception as error:  # the next one may go; this one is tried again next time
        print(f"failed: {what} {identity}: {type(error).__name__}: {error}", file=sys.stderr)
        return True
    print(f"changed: {what} {identity} removed")
    return False


def experiments(tracking, before):
    """Those that were deleted before that time (milliseconds)."""
    token = None
    while True:
        page = tracking.search_experiments(
            ViewType.DELETED_ONLY, filter_string=f"last_update_time < {before}", page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def inside(tracking, experiment, kind):
    """The rows of SqlRun or SqlLoggedModel in an experiment, deleted or not: they go when it goes."""
    with tracking.ManagedSessionMaker() as session:
        return [row.to_mlflow_entity() for row in session.query(kind).filter(kind.experiment_id == int(experiment))]


def collect(tracking, registry, age):
    """Removes what was deleted longer ago than `age` (milliseconds); returns how many failed."""
    failed = 0
    for run in tracking._get_deleted_runs(older_than=age):
        failed += remove("run", run, tracking.get_run(run).info.artifact_uri, registry, tracking._hard_delete_run)
    for model in tracking._get_deleted_logged_models(older_than=age):
        location = tracking.get_logged_model(model, allow_deleted=True).artifact_location
        failed += remove("logged model", model, location, registry, tracking._hard_delete_logged_model)
    for experiment in list(experiments(tracking, int(time.time() * 1000) - age)):
        failed += collect_experiment(tracking, registry, experiment)
    return failed


def collect_experiment(tracking, registry, experiment):
    """Removes a deleted experiment if all of it may go; returns how many of its logged models could not be removed."""
    identity, failed = experiment.experiment_id, 0
    for model in inside(tracking, identity, SqlLoggedModel):
        failed += remove(
            "logged model", model.model_id, model.artifact_location, registry, tracking._hard_delete_logged_model
        )
    left = len(inside(tracking, identity, SqlRun)) + len(inside(tracking, identity, SqlLoggedModel))
    version = holder(registry, f"experiment {identity}", experiment.artifact_location)
    if left or version:
        why = f"version {version} lies in it" if version else f"{left} of its runs and logged models are kept"
        print(f"kept: experiment {identity} ({experiment.name}) is deleted, but {why}", file=sys.stderr)
    else:
        tracking._hard_delete_experiment(identity)
        print(f"changed: experiment {identity} ({experiment.name}) removed")
    return failed


def milliseconds(text):
    """`30d`, `2d8h`: mlflow gc's own form.

    Raises:
        SystemExit: it is none.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        sys.exit(f"mlflow_gc_older_than is `{text}`, expected an age such as `30d` or `2d8h`; set it and run site.yml")
    return int(timedelta(**{UNITS[unit]: float(number) for number, unit in parts}).total_seconds() * 1000)


def main():
    age, url = milliseconds(os.environ["GC_OLDER_THAN"]), os.environ["MLFLOW_BACKEND_STORE_URI"]
    failed = collect(Tracking(url, "mlflow-artifacts:/"), Registry(url), age)
    if failed:
        sys.exit(f"{failed} could not be removed; they are named above and tried again the next time")


if __name__ == "__main__":
    main()
