"""All that a service may use of the cloud."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local_cloud.core.config import Config
from local_cloud.core.faults import Faults
from local_cloud.core.identity import Identity, audiences
from local_cloud.core.lab import LabCommand
from local_cloud.core.operations import Operations
from local_cloud.core.quotas import Quotas
from local_cloud.core.store import Store


@dataclass(frozen=True)
class Context:
    """The parts that all services share; none of them knows a service."""

    config: Config
    store: Store
    identity: Identity
    operations: Operations
    faults: Faults
    quotas: Quotas
    lab: LabCommand | None = None  # where instances are machines of this host

    def folder_of(self, request: Any) -> str:
        """The folder that a request names; without one, the endpoint's own."""
        return getattr(request, "folder_id", "") or self.config.folder_id


def new_context(config: Config, store: Store, grpc_address: str) -> Context:
    """The parts, made for one state folder. `grpc_address` (host:port) is what clients name in their JWTs."""
    faults = Faults(config.state, store)
    identity = Identity(config, store, audiences(grpc_address))
    operations = Operations(store, config.timings, faults)
    lab = LabCommand(config.lab) if config.lab else None
    return Context(config, store, identity, operations, faults, Quotas(store, config.quotas), lab)


@dataclass(frozen=True)
class Machine:
    """What a machine's metadata service tells: its id, name and zone, and tokens of this service account."""

    id: str
    name: str
    zone: str
    service_account: str


class Listener(Protocol):
    """A metadata service that listens at `address` (host:port) until it is closed."""

    @property
    def address(self) -> str: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Site:
    """What is known once the endpoint has its ports.

    `addresses` maps a protocol ("grpc", "rest") to its host:port, `bundle` holds the certificates that jobs trust, and
    `open_metadata(machine, port=0)` starts a machine's metadata service, on a free port unless one is named.
    `authority` is the certificate that the cloud's clients trust, `pair` its server's key and chain in one file.
    """

    addresses: Mapping[str, str]
    bundle: Path
    open_metadata: Callable[..., Listener]
    authority: Path
    pair: Path
