"""MLflow as role `mlflow` starts it: the role's own programs, given what Ansible and systemd give them on a machine."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.common.files import write_private

FILES = ROOT / "roles" / "mlflow" / "files"
# The role's defaults (tests/security compares them).
WORKERS, THREADS = 2, 8
USERS: dict[str, dict[str, Any]] = {
    "trainer": {"create_models": True, "permission": "EDIT"},
    "airflow": {"create_models": False, "permission": "EDIT"},
    "viewer": {"create_models": False, "permission": "READ"},
}


@dataclass(frozen=True)
class MlflowServer:
    """One server: its folder, and what an inventory would say of it.

    `passwords`: of `admin` and of those of USERS that it has; `artifacts`: `s3://bucket/prefix` or a folder;
    `settings`: more environment variables, which win; `secrets`: more of systemd's credentials, by name.
    """

    folder: Path
    port: int
    bin: Path
    passwords: dict[str, str]
    session_key: str
    artifacts: str
    experiment: str
    model: str
    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def write(self) -> None:
        """Puts down what the programs read: accounts, and secrets as private files."""
        users = {name: USERS[name] for name in self.passwords if name != "admin"}
        accounts = {"users": users, "experiments": [self.experiment], "models": [self.model]}
        credentials = self.folder / "credentials"
        credentials.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.folder / "accounts.json", json.dumps(accounts, indent=1))
        passwords = {f"user-{name}": password for name, password in self.passwords.items()}
        for name, secret in ({"session": self.session_key} | passwords | self.secrets).items():
            write_private(credentials / name, secret)

    def command(self, name: str) -> list[str]:
        """`serve` or the name of a job: schema, schema-migrate, accounts, permissions."""
        return [str(FILES / "run"), name]

    def environment(self, name: str) -> dict[str, str]:
        directories = {kind: self.folder / kind / name for kind in ("runtime", "cache")} | {
            "state": self.folder / "state"
        }
        for directory in directories.values():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        hosts = [f"{host}:{self.port}" for host in ("127.0.0.1", "localhost")]
        return {
            "MLFLOW_BIN": str(self.bin),
            "CREDENTIALS_DIRECTORY": str(self.folder / "credentials"),
            **{f"{kind.upper()}_DIRECTORY": str(directory) for kind, directory in directories.items()},
            "ACCOUNTS": str(self.folder / "accounts.json"),
            "PORT": str(self.port),
            "WORKERS": str(WORKERS),
            "THREADS": str(THREADS),
            "ARTIFACTS": self.artifacts,
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{self.folder}/mlflow.db",
            "AUTH_DATABASE_URI": f"sqlite:///{self.folder}/auth.db",
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}" for host in hosts),
            **self.settings,
        }

    def run(self, name: str) -> str:
        """Runs a job to its end; returns its lines, of which those that begin with `changed: ` say what it did.

        Raises:
            StackError: it failed; with the end of what it said.
        """
        done = subprocess.run(
            self.command(name),
            env=self.environment(name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise StackError(f"MLflow's `{FILES / 'run'} {name}` failed:\n{done.stdout.strip()[-2000:]}")
        return done.stdout

    def prepare(self) -> str:
        """All that comes before the server: settings, tables of this release, users with their passwords."""
        self.write()
        return self.run("schema-migrate") + self.run("accounts")

    def permit(self) -> str:
        """All that comes after its start: the experiment, the model, and the users' permissions on them."""
        self.write()
        return self.run("permissions")
