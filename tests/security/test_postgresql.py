"""MLflow over a real PostgreSQL, by the role's programs and the very addresses that the role makes of its settings."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.common.mlflow_role import FILES, THREADS, USERS, WORKERS
from tests.support import mlflow_server, postgresql
from tests.support.mlflow_server import Server

pytestmark = pytest.mark.verify
PASSWORD = r"a:b\c"  # with what a password file must quote
NAMES = ("_mlflow_database_uri", "_mlflow_database_auth_uri", "mlflow_workers", "mlflow_threads", "mlflow_users")
# Ansible's way with variables, in MLflow's environment, which has Jinja.
RENDER = """
import json, sys, jinja2, yaml
role, names, given = json.load(sys.stdin)
values = {}
for file in ("defaults", "vars"):
    with open(f"{role}/{file}/main.yml") as text:
        values |= yaml.safe_load(text)
values |= given
environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
def rendered(value):
    while isinstance(value, str) and "{{" in value:
        value = environment.from_string(value).render(values)
    return value
print(json.dumps([rendered(values[name]) for name in names]))
"""
# What a connection made by SQLAlchemy as MLflow makes it is like.
CONNECTION = """
import json, os, socket, sqlalchemy
engine = sqlalchemy.create_engine(os.environ["MLFLOW_BACKEND_STORE_URI"])
connection = engine.raw_connection().driver_connection
with socket.socket(fileno=os.dup(connection.fileno())) as tcp:
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
    options = {name: tcp.getsockopt(socket.IPPROTO_TCP, getattr(socket, name, 18)) for name in names}
parameters = connection.get_dsn_parameters()
print(json.dumps({"driver": engine.driver, "tls": connection.info.ssl_in_use, **options, **parameters}))
"""


def role_says(programs: Path, **given: Any) -> dict[str, Any]:
    """The role's variables of NAMES, with an inventory that gives these."""
    asked = json.dumps([str(FILES.parent), NAMES, given])
    done = subprocess.run([programs / "python", "-c", RENDER], input=asked, check=True, capture_output=True, text=True)
    return dict(zip(NAMES, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="module")
def database() -> Iterator[postgresql.Database]:
    bin = postgresql.programs()
    if bin is None:
        pytest.skip("PostgreSQL is missing (no initdb): `apt-get install postgresql` brings it")
    with postgresql.started(bin, mlflow_server.free_port(), "mlflow", PASSWORD) as database:
        for name in ("mlflow", "mlflow_auth"):
            database.ask(f"CREATE DATABASE {name}")
        yield database


@pytest.fixture(scope="module")
def settings(programs: Path, database: postgresql.Database) -> dict[str, str]:
    """The addresses of both databases, as the role puts them into the server's environment."""
    said = role_says(
        programs,
        mlflow_database_host="localhost",
        mlflow_database_port=database.port,
        _mlflow_database_ca=str(database.ca),
    )
    return {
        "MLFLOW_BACKEND_STORE_URI": said["_mlflow_database_uri"],
        "AUTH_DATABASE_URI": said["_mlflow_database_auth_uri"],
    }


@pytest.fixture(scope="module")
def mlflow(programs: Path, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_server.started(folder, programs, settings=settings, secrets={"database": PASSWORD}) as server:
        yield server


def test_accounts_log_and_search(mlflow: Server, database: postgresql.Database) -> None:
    found = mlflow.made("viewer", "experiments/search", {"max_results": 10})["experiments"]
    experiment = {item["name"]: item["experiment_id"] for item in found}[mlflow.experiment]
    run = mlflow.made("trainer", "runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    metrics = [{"key": "ap", "value": 0.7, "timestamp": step, "step": step} for step in range(100)]
    mlflow.made("trainer", "runs/log-batch", {"run_id": run, "metrics": metrics})
    search = {"experiment_ids": [experiment], "filter": "metrics.ap > 0.6"}
    assert [item["info"]["run_id"] for item in mlflow.made("viewer", "runs/search", search)["runs"]] == [run]
    assert mlflow.api("viewer", "runs/set-tag", {"run_id": run, "key": "k", "value": "v"}).status == 403
    assert mlflow.api("airflow", "registered-models/create", {"name": "another"}).status == 403
    assert database.ask(f"SELECT count(*) FROM metrics WHERE run_uuid = '{run}'", "mlflow") == "100"
    users = database.ask("SELECT string_agg(username, ' ' ORDER BY username) FROM users", "mlflow_auth")
    assert users == "admin airflow trainer viewer"


def test_a_silent_database_is_given_up(
    programs: Path, settings: dict[str, str], database: postgresql.Database, tmp_path: Path
) -> None:
    """Each option of the address reaches the connection: the driver brings a libpq of its own."""
    password = tmp_path / "pgpass"
    password.write_text("*:*:*:*:" + PASSWORD.replace("\\", r"\\").replace(":", r"\:"))
    password.chmod(0o600)
    done = subprocess.run(
        [programs / "python", "-c", CONNECTION],
        env={**settings, "PGPASSFILE": str(password), "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert (found["driver"], found["tls"], found["sslmode"]) == ("psycopg2", True, "verify-full")
    assert found["connect_timeout"] == "5"
    options = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 30_000}
    assert {name: found[name] for name in options} == options


def test_what_runs_here_are_the_roles_defaults(programs: Path) -> None:
    said = role_says(programs)
    assert (said["mlflow_workers"], said["mlflow_threads"], said["mlflow_users"]) == (WORKERS, THREADS, USERS)
