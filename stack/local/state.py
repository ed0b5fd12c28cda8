"""What one local stack keeps in its folder: ports, secrets, choices. Everything else there belongs to the services."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from local_cloud.core.ports import is_free
from stack.common.errors import StackError
from stack.common.files import KeptFolder, write_private
from stack.common.storage import REGION
from stack.local.credentials import new_secrets
from stack.local.ports import choose_ports

ZONE = f"{REGION}-a"
# Ids as the cloud makes them: a prefix of the kind and 17 characters.
CLOUD_ID, FOLDER_ID = "b1glocalcloud0000000", "b1glocalfolder000000"
SERVICE_ACCOUNTS = {name: f"aje{name:0<17}" for name in ("airflow", "dataproc", "deployer")}
NETWORK_ID, SUBNET_ID = "enplocalnetwork00000", "e9blocalnatsubnet000"
GATEWAY_ID, ROUTE_TABLE_ID = "enplocalgateway00000", "enplocalroutes000000"
DEPLOYER_KEY = "ajkdeployer000000000"
BUCKETS = ("lake", "dags", "jobs", "artifacts", "logs")


@dataclass(frozen=True)
class State(KeptFolder):
    """The folder of one local stack. Ports and secrets are made once and then kept."""

    @property
    def exists(self) -> bool:
        return (self.folder / "ports.json").exists()

    def create(self, base_port: int | None) -> None:
        """Makes the folder with its ports and secrets, if it is not there yet."""
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
        """Raises StackError if another program has taken a port of this stack while it was stopped."""
        for name, port in self.ports.items():
            if not is_free(port):
                raise StackError(
                    f"Port {port} of 127.0.0.1, which this stack uses for {name}, is taken by another program. "
                    "End that program, or give this stack up for one with other ports: `make demo-clean`."
                )

    @property
    def engine(self) -> str:
        """What runs the jobs of clusters: `local` or `yarn`."""
        return self.load("engine", "local")

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

    @property
    def airflow_logs(self) -> Path:
        """Of tasks."""
        return self.folder / "airflow" / "logs"
