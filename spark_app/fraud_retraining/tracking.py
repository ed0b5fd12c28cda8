"""MLflow: the run's record, the registered versions, the models of earlier runs."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import date
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient

from fraud_retraining.dataset import Days
from fraud_retraining.errors import RetrainingError
from fraud_retraining.features import ALL_FEATURES
from fraud_retraining.model import predict

RUN_TAG = "retrain_run_id"
UNTIL_TAG = "trained_until"  # of a version: the last day of its train window
BARRED_TAG = "barred"  # why a version may not compete: set by a rollback, emptied by `unbar`
PROMOTED_TAG = "promoted"  # set by whoever moves the alias `champion` to a version


@dataclass(frozen=True)
class Version:
    """A registered version that may compete, with its role (champion or earlier) and the last day of its training.

    ``barred`` says why it may not, after a rollback.
    """

    version: str
    role: str
    trained_until: Optional[date] = None
    barred: Optional[str] = None


def connect(uri: str, experiment: str) -> MlflowClient:
    """Client of the tracking server with the experiment selected.

    Raises:
        RetrainingError: the server does not answer or refuses.
    """
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        mlflow.set_experiment(experiment)
    except MlflowException as error:
        raise RetrainingError(
            f"MLflow at {uri} refuses: {str(error).splitlines()[0]}; check --mlflow-uri and the credentials"
        ) from error
    return MlflowClient()


def competitors(client: MlflowClient, model: str, earlier: int) -> List[Version]:
    """The champion, the last ``earlier`` other versions, and every version that was champion once; newest first."""
    champion = champion_of(client, model)
    versions = sorted(client.search_model_versions(f"name='{model}'"), key=lambda v: int(v.version), reverse=True)
    others = [v for v in versions if str(v.version) != champion]
    chosen = [v for place, v in enumerate(others) if place < earlier or PROMOTED_TAG in v.tags]
    chosen = [v for v in versions if str(v.version) == champion] + chosen
    return [
        Version(
            str(v.version),
            "champion" if str(v.version) == champion else "earlier",
            date.fromisoformat(v.tags[UNTIL_TAG]) if UNTIL_TAG in v.tags else None,
            v.tags.get(BARRED_TAG) or None,
        )
        for v in chosen
    ]


def champion_of(client: MlflowClient, model: str) -> Optional[str]:
    """The version that the alias ``champion`` names; None only if the server says that there is no such alias.

    Raises:
        RetrainingError: the server gives no answer.
    """
    try:
        return str(client.get_model_version_by_alias(model, "champion").version)
    except MlflowException as error:
        no_alias = error.error_code == "INVALID_PARAMETER_VALUE" and "not found" in str(error)
        if no_alias or error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise RetrainingError(
            f"MLflow does not say which version of {model} is the champion: {str(error).splitlines()[0]};"
            " nothing was decided; run again when it answers"
        ) from error


def serving(client: MlflowClient, model: str, begun_with: Optional[str] = None) -> Tuple[str, xgboost.Booster]:
    """The version that scores, and its booster: the one that the alias ``champion`` names.

    Args:
        begun_with: the version that it named when the run began; this one scores, unless it is barred since.

    Raises:
        RetrainingError: nothing serves, the server gives no answer, or the version cannot be loaded or fed.
    """
    version = begun_with
    if version is None or client.get_model_version(model, version).tags.get(BARRED_TAG):
        version = champion_of(client, model)
    if version is None:
        raise RetrainingError(f"no version of {model} is champion yet; run retrain first")
    boosters, skipped = load_boosters(model, [Version(version, "champion")], ALL_FEATURES)
    if skipped:
        raise RetrainingError(
            f"version {version} of {model} serves and cannot be used: {skipped[0]['reason']};"
            " move the alias champion to another version"
        )
    return version, boosters[version]


def fair(versions: List[Version], test: Days) -> Tuple[List[Version], List[Dict[str, str]]]:
    """Versions that may compete on the test week, and ``{"version", "reason"}`` of the others.

    A retrain as of a past day meets versions that were trained later, and have seen the week.
    """
    left_out = {}
    for v in versions:
        if v.barred:
            left_out[v.version] = f"it is barred since a rollback: {v.barred}"
        elif v.trained_until and v.trained_until >= test.first:
            left_out[v.version] = f"it was trained on days up to {v.trained_until}, the test week is {test}"
    return [v for v in versions if v.version not in left_out], [
        {"version": version, "reason": reason} for version, reason in left_out.items()
    ]


def load_boosters(
    model: str, versions: List[Version], columns: List[str]
) -> Tuple[Dict[str, xgboost.Booster], List[Dict[str, str]]]:
    """Boosters by version, and ``{"version", "reason"}`` of those that cannot be loaded or fed with ``columns``."""
    boosters: Dict[str, xgboost.Booster] = {}
    skipped = []
    for version in versions:
        try:
            boosters[version.version] = load_booster(f"models:/{model}/{version.version}", columns)
        except Exception as error:  # whatever is wrong with an old model, the run goes on without it
            skipped.append({"version": version.version, "reason": f"{type(error).__name__}: {str(error)[:300]}"})
    return boosters, skipped


def load_booster(uri: str, columns: Sequence[str]) -> xgboost.Booster:
    """The booster of a model: ``models:/NAME/VERSION`` or a folder.

    Raises:
        RetrainingError: it needs other inputs than ``columns``.
    """
    booster = mlflow.xgboost.load_model(uri)
    missing = set(booster.feature_names) - set(columns)
    if missing:
        raise RetrainingError(f"{uri} needs features that are not made any more: {sorted(missing)}")
    return booster


def register(client: MlflowClient, model: str, booster: xgboost.Booster, example: pd.DataFrame, until: date) -> str:
    """Log the native booster with signature and input example, register it as alias ``challenger``.

    Args:
        until: last day of the train window.

    Returns:
        The new version.
    """
    inputs = example[booster.feature_names].astype("float64")
    logged = mlflow.xgboost.log_model(
        booster,
        "model",
        signature=infer_signature(inputs, predict(booster, inputs).astype(np.float32)),
        input_example=inputs,
        pip_requirements=[f"xgboost-cpu=={xgboost.__version__}", f"pandas=={pd.__version__}"],
        model_format="ubj",
    )
    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = mlflow.register_model(logged.model_uri, model, tags={UNTIL_TAG: until.isoformat()})
    client.set_registered_model_alias(model, "challenger", created.version)
    return str(created.version)


def keep_card(client: MlflowClient, model: str, version: str, text: str) -> None:
    """Put the model card among the files of a registered version: whoever downloads the model has it."""
    found = client.get_model_version(model, version)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model_card.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        logged = re.fullmatch("models:/(m-[0-9a-f]+)", found.source)
        if logged:
            client.log_model_artifact(logged.group(1), path)
        else:  # a client before MLflow 3 keeps a model's files with those of its run
            client.log_artifact(found.run_id, path, "model")


def flat(prefix: str, values: Mapping[str, float]) -> Dict[str, float]:
    """Finite numbers of a dictionary as MLflow metrics."""
    return {f"{prefix}{name}": float(value) for name, value in values.items() if np.isfinite(value)}
