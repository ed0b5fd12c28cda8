"""What one local stack keeps in its folder: ports, secrets, choices. Everything else there belongs to the services."""

import json
import secrets
import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stack.common.errors import StackError
from stack.common.files import Kept, write_private
from stack.common.storage import REGION

PORTS = ("airflow", "mlflow", "object_store", "cloud", "cloud_rest", "metadata", "airflow_logs")
FIRST_BASE, STEP, LAST_BASE = 18000, 10, 18990
ZONE = f"{REGION}-a"
# Ids as the cloud makes them: a prefix of the kind and 17 characters.
CLOUD_ID, FOLDER_ID = "b1glocalcloud0000000", "b1glocalfolder000000"
SERVICE_ACCOUNTS = {name: f"aje{name:0<17}" for name in ("airflow", "dataproc", "deployer")}
NETWORK_ID, SUBNET_ID = "enplocalnetwork00000", "e9blocalsubnet000000"
DEPLOYER_KEY = "ajkdeployer000000000"
BUCKETS = ("lake", "dags", "jobs", "artifacts", "logs")


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_ports(base: int | None) -> dict[str, int]:
    """Consecutive ports from `base`, or from the first base at which all are free.

    Raises:
        StackError: a port of the base that was asked for is taken, or there is no free base at all.
    """
    bases = [base] if base else range(FIRST_BASE, LAST_BASE + 1, STEP)
    for start in bases:
        taken = [start + i for i in range(len(PORTS)) if not port_is_free(start + i)]
        if not taken:
            return {name: start + i for i, name in enumerate(PORTS)}
    if base:
        raise StackError(
            f"Port {taken[0]} of 127.0.0.1 is taken by another program; PORT={base} needs {base} to "
            f"{base + len(PORTS) - 1} free. Leave PORT out to have free ports chosen, or name another, e.g. PORT=19000."
        )
    raise StackError(f"No {len(PORTS)} free ports in a row from {FIRST_BASE} to {LAST_BASE}; name some: PORT=…")


def new_key_pair() -> tuple[str, str]:
    """A service account's authorised key: (private, public), PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def new_secrets() -> dict[str, str]:
    from cryptography.fernet import Fernet

    private, public = new_key_pair()
    names = (
        *("airflow_password", "airflow_jwt", "airflow_session", "mlflow_admin_password", "mlflow_trainer_password"),
        *("mlflow_airflow_password", "mlflow_session", "object_store_key", "object_store_secret"),
    )
    return {
        **{name: secrets.token_urlsafe(18) for name in names},
        "airflow_fernet": Fernet.generate_key().decode(),
        "deployer_private_key": private,
        "deployer_public_key": public,
    }


@dataclass(frozen=True)
class State(Kept):
    """The folder of one local stack. Ports and secrets are made once and then kept."""

    @property
    def exists(self) -> bool:
        return (self.folder / "ports.json").exists()

    def create(self, base_port: int | None) -> None:
        """Makes the folder with its ports and secrets, where it is not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if not (self.folder / "secrets.json").exists():
            write_private(self.folder / "secrets.json", json.dumps(new_secrets(), indent=1))
        if not self.exists:
            write_private(self.folder / "ports.json", json.dumps(choose_ports(base_port), indent=1))
        elif base_port and base_port != self.ports["airflow"]:
            raise StackError(
                f"The stack in {self.folder} has its ports from {self.ports['airflow']} on, not PORT={base_port}. "
                "Ports are fixed when it is made: `make demo-clean` first, or choose another folder with STATE=…"
            )

    def require_free_ports(self) -> None:
        """Raises StackError where another program has taken a port of this stack while it was stopped."""
        for name, port in self.ports.items():
            if not port_is_free(port):
                raise StackError(
                    f"Port {port} of 127.0.0.1, which this stack uses for {name}, is taken by another program. "
                    "End that program, or give this stack up for one with other ports: `make demo-clean`."
                )

    @cached_property
    def ports(self) -> dict[str, int]:
        return json.loads((self.folder / "ports.json").read_text())

    @cached_property
    def secrets(self) -> dict[str, str]:
        return json.loads((self.folder / "secrets.json").read_text())

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    @property
    def cloud_endpoint(self) -> str:
        """host:port of the cloud's gRPC API; a name, since certificates are made for names."""
        return f"localhost:{self.ports['cloud']}"

    @property
    def metadata_address(self) -> str:
        return f"127.0.0.1:{self.ports['metadata']}"

    @property
    def ca(self) -> Path:
        return self.folder / "cloud" / "ca.pem"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"
