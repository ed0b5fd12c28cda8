"""Whether a registered version can serve at all: loaded from the registry, its own example scored, without Spark."""

import json
import tempfile
from pathlib import Path
from typing import Any

from dags.retraining.history import Refused


def check(model: str, version: str) -> str:
    """Loads the native booster of a version and scores the example that was logged with it; returns a line about it.

    Raises:
        Refused: it cannot be loaded, has no example, or gives what is no probability.
    """
    from mlflow.artifacts import download_artifacts

    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(download_artifacts(artifact_uri=f"models:/{model}/{version}", dst_path=folder))
            scores = score_example(place)
    except Exception as problem:
        raise Refused(
            f"Version {version} of `{model}` cannot serve: {type(problem).__name__}: {str(problem)[:300]}. Nothing was "
            "moved; choose another version."
        ) from problem
    if not all(0 <= score <= 1 for score in scores):
        raise Refused(f"Version {version} of `{model}` gives {scores}, probabilities were expected. Nothing was moved.")
    return f"version {version} can be loaded; it scored {len(scores)} rows of its example"


def score_example(place: Path) -> list[float]:
    """Scores of a logged model's own input example, by its native booster."""
    import numpy as np
    import xgboost
    from mlflow.models import Model

    flavor: Any = Model.load(str(place)).flavors["xgboost"]
    booster = xgboost.Booster(model_file=str(place / flavor["data"]))
    example = json.loads((place / "serving_input_example.json").read_text())["dataframe_split"]
    order = [example["columns"].index(name) for name in booster.feature_names or example["columns"]]
    rows = np.array(example["data"], dtype="float64")[:, order]
    return [float(score) for score in booster.predict(xgboost.DMatrix(rows, feature_names=booster.feature_names))]
