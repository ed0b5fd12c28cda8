"""MLflow as the DAG uses it: read the decision of a run, move the alias, say where a person can look."""

import json
import os
import tempfile
from typing import Any

CONNECTION = "mlflow"
CHAMPION, PREVIOUS = "champion", "previous"
PROMOTED_TAG = "promoted"  # a version that has it competes in every later comparison


def connect() -> tuple[Any, str]:
    """(MlflowClient, tracking URI) by the Airflow connection `mlflow`.

    It has host, login and password, and in its extra `ca`, a certificate (PEM), if the server's own is signed by an
    authority that machines do not know.
    """
    import mlflow

    from dags.retraining import compat

    connection = compat.connection(CONNECTION)
    # The client takes credentials from the environment only; a task is a process of its own.
    os.environ["MLFLOW_TRACKING_USERNAME"] = connection.login or ""
    os.environ["MLFLOW_TRACKING_PASSWORD"] = connection.password or ""
    if authority := connection.extra_dejson.get("ca"):
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            file.write(authority)
        os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"] = file.name
    uri = tracking_uri(connection)
    mlflow.set_tracking_uri(uri)  # artifacts are loaded by run, from where this says
    return mlflow.MlflowClient(), uri


def tracking_uri(connection: Any) -> str:
    """The server's URI: scheme in `schema` (default https), then host and port."""
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{connection.host}{port}"


def read_decision(client: Any, experiment: str, run: str) -> dict[str, Any]:
    """decision.json of the newest finished MLflow run that carries the tag `retrain_run_id` = `run`.

    There are several if the task `train` was cleared or tried again.

    Raises:
        LookupError: there is no such experiment, or no such run.
    """
    from mlflow.artifacts import load_text

    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise LookupError(f"MLflow has no experiment `{experiment}`: did the training job of {run} finish?")
    runs = client.search_runs(
        [found.experiment_id],
        f"tags.retrain_run_id = '{run}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    if not runs:
        raise LookupError(
            f"No finished MLflow run in `{experiment}` carries the tag retrain_run_id = {run}, one was expected: "
            "look at the log of the task `train`."
        )
    return json.loads(load_text(f"runs:/{runs[0].info.run_id}/decision.json"))


def champion(client: Any, model: str) -> str | None:
    """Version that the alias `champion` names, or None: before the first retrain there is not even the model."""
    try:
        version = client.get_registered_model(model).aliases.get(CHAMPION)
    except Exception as problem:
        if getattr(problem, "error_code", None) == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return str(version) if version is not None else None


def report_url(uri: str, client: Any, mlflow_run_id: str) -> str:
    """Address of the run's report in MLflow's UI, where its metrics and artifacts are one click away."""
    experiment = client.get_run(mlflow_run_id).info.experiment_id
    # Without the last part MLflow 3.17 shows the pages of an experiment as those of an agent, whatever its kind.
    return f"{uri}/#/experiments/{experiment}/runs/{mlflow_run_id}/artifacts/report.html?workflowType=machine_learning"
