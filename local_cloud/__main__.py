"""`python -m local_cloud --config FILE`: serve until SIGTERM or SIGINT."""

import argparse
import fcntl
import json
import logging
import os
import sys
from pathlib import Path
from typing import IO

from local_cloud.cloud import Cloud
from local_cloud.core import tls
from local_cloud.core.config import Config, ConfigError, Instance, load
from local_cloud.core.context import Machine, Site, new_context
from local_cloud.core.ending import asked_to_end
from local_cloud.core.identity import Identity
from local_cloud.core.store import Store
from local_cloud.protocols.grpc import GrpcServer
from local_cloud.protocols.metadata import Metadata, TokenCache
from local_cloud.protocols.rest import RestServer
from local_cloud.services.registry import services

ENDPOINT_FILE = "endpoint.json"


def main() -> int:
    """Exit status: 0 after a signal, 1 with one message if it cannot serve."""
    parser = argparse.ArgumentParser(prog="local_cloud", description="Yandex Cloud's API on one machine")
    parser.add_argument("--config", type=Path, required=True, help="JSON file, mode 0600; see README.md")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    try:
        serve(load(arguments.config))
    except ConfigError as error:
        print(f"local_cloud: {error}", file=sys.stderr)
        return 1
    return 0


def serve(config: Config) -> None:
    """Start everything, write `STATE/endpoint.json`, wait for a signal, end everything in order."""
    wait = asked_to_end()
    os.umask(0o077)
    config.state.mkdir(parents=True, exist_ok=True)
    config.state.chmod(0o700)
    lock = _lock(config.state)
    certificates = tls.load_or_create(config.state, config.ca_bundle, config.tls_names)
    grpc_server = GrpcServer(config.host, config.grpc_port, certificates)
    rest_server = RestServer(config.host, config.rest_port, certificates)
    addresses = {"grpc": f"localhost:{grpc_server.port}", "rest": f"localhost:{rest_server.port}"}
    store = Store(config.state / "state.db")
    context = new_context(config, store, addresses["grpc"])

    def open_metadata(machine: Machine, port: int = 0) -> Metadata:
        return _metadata(config.host, port, machine, context.identity)

    cloud = Cloud(
        context,
        services(context, Site(addresses, certificates.bundle, open_metadata, certificates.ca, certificates.pair)),
    )
    machines = {instance.name: _machine(config, instance, context.identity) for instance in config.instances}
    cloud.resume()
    grpc_server.start(cloud)
    rest_server.start(cloud)
    endpoint = {
        **addresses,
        "metadata": {name: machine.address for name, machine in machines.items()},
        "ca": str(certificates.ca),
        "cloud_id": config.cloud_id,
        "folder_id": config.folder_id,
        "pid": os.getpid(),
    }
    tls.write(config.state / ENDPOINT_FILE, json.dumps(endpoint, indent=2).encode(), 0o600)
    logging.info(
        "serving gRPC on %s, REST on %s; %s", addresses["grpc"], addresses["rest"], config.state / ENDPOINT_FILE
    )
    wait()
    (config.state / ENDPOINT_FILE).unlink(missing_ok=True)
    grpc_server.stop()
    rest_server.stop()
    for machine in machines.values():
        machine.close()
    cloud.shutdown()
    store.close()
    lock.close()


def _metadata(host: str, port: int, machine: Machine, identity: Identity) -> Metadata:
    facts = {"id": machine.id, "name": machine.name, "zone": machine.zone}
    return Metadata(host, port, TokenCache(identity.issue, machine.service_account), facts)


def _machine(config: Config, instance: Instance, identity: Identity) -> Metadata:
    """The metadata service of a machine of the configuration."""
    account = config.service_accounts[instance.service_account]
    machine = Machine(instance.name, instance.name, config.zone, account.id)
    host, port = config.host, instance.metadata_port
    try:
        return _metadata(host, port, machine, identity)
    except OSError as error:
        place = f"{host}:{port} (metadata_port of instance {instance.name!r})"
        raise ConfigError(f"{place} cannot be used: {error.strerror}; 0 is any free one") from error


def _lock(state: Path) -> IO[str]:
    """Hold the state for this process alone; the lock goes with the process, however that ends."""
    file = (state / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(
            f"{state} is in use by another endpoint; stop that one first, or give this one a state of its own"
        ) from error
    return file


if __name__ == "__main__":
    sys.exit(main())
