"""What MLflow's own pages say: experiment, model, version, and the data and code of a run."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Mapping, Sequence

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, RunInfo
from mlflow.tracking import MlflowClient

DESCRIPTION_TAG = "mlflow.note.content"  # Markdown that MLflow's UI shows on the page of an experiment or a run
KIND_TAG = "mlflow.experimentKind"
KIND = "custom_model_development"

# Whether MLflow 3.17 shows training or traces of agents is its reader's own switch, or what an address says.
VIEW = "workflowType=machine_learning"

EXPERIMENT = (
    "Each run is one retrain: a challenger is trained on the newest weeks and compared, on the same week, with all"
    " versions that may serve. `decision.json` says what was decided, `report.md` why, `model_card.md` what the model"
    " is for. What served when, and by whose decision: `make history`."
)

MODEL = """Ranks card transactions by the probability of fraud. Each version is the challenger of
[one retrain]({runs}).

**Aliases**

| Alias | Version |
|---|---|
| `champion` | serves: the DAG `score` uses it |
| `challenger` | was trained last |
| `previous` | served before the champion |

**Tags of a version**

| Tag | Says |
|---|---|
| `trained_until` | the last day of its training |
| `promoted` | by which run, and whose approval, it came to serve |
| `barred` | why it serves no more, since a rollback |

**Nobody moves** `champion` here: `make rollback` (or the DAG `rollback`) does, on record."""

VERSION = """**{action}**: {reason}.

**Days**

| window | days |
|---|---|
{windows}

**Figures of the test week**

| measure | this version | champion then |
|---|---|---|
{figures}

**To load it**

```python
{example}
```

`rows` is a pandas DataFrame with the features of the signature; the account is in `MLFLOW_TRACKING_USERNAME` and
`MLFLOW_TRACKING_PASSWORD`. [Its retrain]({page}), [all retrains]({runs})."""

EXAMPLE = """import mlflow, xgboost
mlflow.set_tracking_uri("{uri}")
booster = mlflow.xgboost.load_model("models:/{model}/{version}")
data = xgboost.DMatrix(rows[booster.feature_names])
scores = booster.predict(data)"""
FIGURES = {"average_precision": "average precision", "roc_auc": "ROC AUC", "card_precision_100": "CP@100"}


def describe_experiment(client: MlflowClient, experiment_id: str) -> None:
    """Give the experiment its kind and its description, unless a person has given others."""
    there = client.get_experiment(experiment_id).tags
    for key, value in {KIND_TAG: KIND, DESCRIPTION_TAG: EXPERIMENT}.items():
        if not there.get(key):
            client.set_experiment_tag(experiment_id, key, value)


def describe_version(client: MlflowClient, model: str, decision: Mapping[str, Any], run: RunInfo) -> None:
    """Say of the challenger's version what was decided, on which days, with which figures, and how it is loaded."""
    uri = mlflow.get_tracking_uri()
    runs = f"{uri}/#/experiments/{run.experiment_id}/runs"
    links = {"page": f"{runs}/{run.run_id}?{VIEW}", "runs": f"{runs}?{VIEW}"}
    if not client.get_registered_model(model).description:  # else a person's words, or ours
        client.update_registered_model(model, MODEL.format(**links))
    client.update_model_version(model, decision["challenger"]["version"], version_text(model, decision, uri, links))


def version_text(model: str, decision: Mapping[str, Any], uri: str, links: Mapping[str, str]) -> str:
    """The description of the challenger's version, as Markdown."""
    sides = [decision["challenger"], decision["champion"] or {}]
    figures = [
        f"| {words} | " + " | ".join(number((side.get("metrics") or {}).get(name)) for side in sides) + " |"
        for name, words in FIGURES.items()
    ]
    return VERSION.format(
        action=decision["action"],
        reason=decision["reason"],
        windows="\n".join(f"| {name} | {first} .. {last} |" for name, (first, last) in decision["windows"].items()),
        figures="\n".join(figures),
        example=EXAMPLE.format(uri=uri, model=model, version=decision["challenger"]["version"]),
        **links,
    )


def number(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}"


def run_tags(release: str) -> Dict[str, str]:
    """Tags that MLflow's page of a run shows as its user and its source: the account, and the code's release."""
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    return {
        "mlflow.source.name": f"fraud_retraining {release}",
        "mlflow.source.type": "JOB",
        "release": release,
        **({"mlflow.user": user} if user else {}),
    }


def inputs(
    place: str, digest: str, windows: Mapping[str, Sequence[str]], rows: Mapping[str, int], columns: Sequence[str]
) -> List[DatasetInput]:
    """The prepared days of each window as data sets of a run: where they lie, their digest, their rows and columns.

    Made of MLflow's entities: both clients, image 2.1's of Python 3.8 and the newest, have them alike.
    """
    schema = json.dumps({"mlflow_colspec": [{"type": "double", "name": name, "required": True} for name in columns]})
    contexts = {"train": "training", "test": "evaluation"}
    return [
        DatasetInput(
            Dataset(
                name=f"{window} {first} .. {last}",
                digest=digest,
                source_type="s3" if place.startswith("s3") else "local",
                source=json.dumps({"uri": place}),
                schema=schema,
                profile=json.dumps({"num_rows": rows[window]}),
            ),
            [InputTag("mlflow.data.context", contexts[window])],
        )
        for window, (first, last) in windows.items()
        if window in contexts
    ]
