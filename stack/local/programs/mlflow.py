"""MLflow's tracking server, as role `mlflow` starts it, over SQLite and the local object store."""

from stack.common.envs import ENVS
from stack.common.mlflow_role import MlflowServer
from stack.common.release import EXPERIMENT, MODEL
from stack.common.storage import REGION
from stack.local.programs.program import Program, base_environment
from stack.local.state import State


def mlflow_server(state: State) -> MlflowServer:
    """What the local stack says of its server."""
    key, secret = state.secrets["object_store_key"], state.secrets["object_store_secret"]
    return MlflowServer(
        folder=state.folder / "mlflow",
        port=state.ports["mlflow"],
        bin=ENVS / "mlflow" / "bin",
        passwords={name: state.secrets[f"mlflow_{name}_password"] for name in ("admin", "trainer", "airflow")},
        session_key=state.secrets["mlflow_session"],
        artifacts="s3://artifacts/mlflow",
        experiment=EXPERIMENT,
        model=MODEL,
        settings=base_environment()
        | {
            "MLFLOW_S3_ENDPOINT_URL": state.url("object_store"),
            "AWS_DEFAULT_REGION": REGION,
            "GUNICORN_CMD_ARGS": "--access-logfile -",  # on a machine nginx keeps it
        },
        secrets={"aws": f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"},
    )


def mlflow(state: State) -> Program:
    """What supervisord starts; `prepare` has been called before."""
    server = mlflow_server(state)
    return Program(server.command("serve"), server.environment("serve"))
