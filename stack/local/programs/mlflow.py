"""MLflow's tracking server."""

import os

from stack.common.envs import ENVS
from stack.common.files import write_private
from stack.local.programs.program import Program, base_environment, object_store_client, script
from stack.local.state import State


def mlflow(state: State) -> Program:
    """The tracking server under gunicorn: basic-auth, artifacts through the server into the object store."""
    folder = state.folder / "mlflow"
    folder.mkdir(exist_ok=True)
    auth = folder / "basic_auth.ini"
    write_private(
        auth,
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\n"
        f"database_uri = sqlite:///{folder}/auth.db\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
    )
    port = state.ports["mlflow"]
    return Program(
        [
            *(script("mlflow", "python"), "-W", "ignore::FutureWarning", "-m", "mlflow", "server"),
            *("--host", "127.0.0.1", "--port", str(port), "--app-name", "basic-auth"),
            *("--workers", "2", "--gunicorn-opts", "--timeout 120 --access-logfile -"),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--serve-artifacts", "--artifacts-destination", "s3://artifacts/mlflow"),
        ],
        base_environment()
        | object_store_client(state)
        | {
            "PATH": f"{ENVS / 'mlflow' / 'bin'}:{os.environ['PATH']}",
            "MLFLOW_S3_ENDPOINT_URL": state.url("object_store"),
            "MLFLOW_AUTH_CONFIG_PATH": str(auth),
            "MLFLOW_AUTH_ADMIN_PASSWORD": state.secrets["mlflow_admin_password"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": state.secrets["mlflow_session"],
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{port},localhost:{port}",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )
