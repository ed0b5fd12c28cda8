"""Ansible's inventory and an ssh configuration, made from Terraform's outputs."""

import json
from dataclasses import asdict
from typing import Any

from stack.cloud.account import storage_endpoint
from stack.cloud.deployment import Deployment
from stack.cloud.outputs import Outputs
from stack.cloud.way_in import JUMP, WayIn, common_lines
from stack.common.files import write_private
from stack.common.storage import REGION

HEADER = "# Made by `make bootstrap` from Terraform's outputs; the next one overwrites it.\n"
MLFLOW_CA = "/etc/certificates/tls-proxy/ca.crt"  # the role tls_proxy's own authority


def hosts(outputs: Outputs) -> dict[str, str]:
    """Name of each machine of ours -> address for ssh."""
    return {name: address for name, address in asdict(outputs.ssh.hosts).items() if address}


def ssh_config(deployment: Deployment, outputs: Outputs, way: WayIn) -> str:
    """One `Host` for each machine; MLflow's is the only way to the database's, and a jump host may be the way to it."""
    to_mlflow = way.jump_host if not way.public else None
    lines = to_mlflow.lines() if to_mlflow else []
    for name, address in hosts(outputs).items():
        before = "mlflow" if name != "mlflow" else JUMP if to_mlflow else None
        lines += [f"Host {name}", f"  HostName {address}", f"  User {outputs.ssh.user}"]
        lines += [f"  ProxyJump {before}"] * bool(before)
        # Our key alone, be it in the agent: each other one would count as a failed try. A jump host may want more.
        lines += ["  IdentitiesOnly yes"] * bool(way.key)
    return HEADER + "\n".join([*lines, *common_lines(deployment, way)]) + "\n"


def secret(secret_id: str | None, key: str = "password") -> dict[str, str | None]:
    """A secret as the roles take it: the machine reads it from Lockbox with its own identity."""
    return {"lockbox": secret_id, "key": key}


def storage_key(prefix: str, secret_id: str | None) -> dict[str, Any]:
    """A role's variables for an S3 key kept in Lockbox."""
    return {f"{prefix}_key_id": secret(secret_id, "access_key"), f"{prefix}_secret": secret(secret_id, "secret_key")}


def mlflow_variables(outputs: Outputs) -> dict[str, Any]:
    """Of the group `mlflow`: roles mlflow, tls_proxy, backup and baseline."""
    mlflow, database = outputs.mlflow, outputs.database
    secrets = {name: secret(secret_id, mlflow.secret_key) for name, secret_id in asdict(mlflow.secret_ids).items()}
    names = [mlflow.host, mlflow.internal_address, *filter(None, [mlflow.public_address])]
    variables = {
        "mlflow_hosts": names,
        "mlflow_database_host": database.host,
        "mlflow_database_port": database.port,
        "mlflow_database_name": database.name,
        "mlflow_database_auth_name": database.auth_name,
        "mlflow_database_user": database.user,
        "mlflow_database_sslmode": database.sslmode,
        "mlflow_database_connections": database.connections,
        "mlflow_database_password": secret(database.password_secret_id, database.password_secret_key),
        "mlflow_artifacts_destination": f"s3://{outputs.buckets.artifacts}/mlflow",
        "mlflow_artifacts_endpoint": storage_endpoint(),
        "mlflow_artifacts_region": REGION,
        **storage_key("mlflow_artifacts", mlflow.storage_secret_id),
        "mlflow_session_key": secrets.pop("session"),
        "mlflow_passwords": secrets,
        "mlflow_ca_file": MLFLOW_CA,
        "tls_proxy_hosts": names,
        # With PostgreSQL as a service its machine has the artifacts' bucket alone.
        "backup_bucket": outputs.buckets.artifacts,
        "backup_postgresql_version": database.version if database.kind == "managed" else "",
        "backup_postgresql_archive": database.client,
        "backup_endpoint": storage_endpoint(),
        "backup_region": REGION,
        **storage_key("backup", mlflow.storage_secret_id),
        "baseline_firewall_inbound": [{"port": 443, "proto": "tcp", "from": [], "comment": "MLflow"}],
        # The way to the database's machine, and a browser's if MLflow has no public address.
        "baseline_ssh_tcp_forwarding": database.kind == "vm" or not mlflow.public_address,
    }
    if database.kind == "managed":
        # The vendor's authority, which its documentation says to take from there.
        url = f"{storage_endpoint()}/cloud-certs/CA.pem"
        variables["mlflow_database_ca"] = f"{{{{ lookup('ansible.builtin.url', '{url}', split_lines=False) }}}}"
    return variables


def database_variables(outputs: Outputs) -> dict[str, Any]:
    """Of the group `database`: roles data_disk, postgresql, backup and baseline."""
    database, client = outputs.database, f"{outputs.mlflow.internal_address}/32"
    bucket = outputs.buckets.backups
    return {
        "data_disk_device": database.data_disk or "",
        "postgresql_hosts": [database.host, database.internal_address],
        "postgresql_port": database.port,
        "postgresql_clients": [client],
        "postgresql_databases": [database.name, database.auth_name],
        "postgresql_user": database.user,
        "postgresql_max_connections": database.connections + 3,  # PostgreSQL keeps three for its superuser
        "postgresql_password": secret(database.password_secret_id, database.password_secret_key),
        "backup_bucket": bucket,
        "backup_endpoint": storage_endpoint(),
        "backup_region": REGION,
        **storage_key("backup", database.storage_secret_id),
        "postgresql_archive_bucket": bucket,
        "postgresql_archive_endpoint": storage_endpoint().partition("://")[2],
        "postgresql_archive_region": REGION,
        **storage_key("postgresql_archive", database.storage_secret_id),
        "postgresql_archive_cipher": secret(database.archive_cipher_secret_id),
        "baseline_firewall_inbound": [
            {"port": database.port, "proto": "tcp", "from": [client], "comment": "PostgreSQL, for MLflow only"}
        ],
    }


def channels(outputs: Outputs) -> dict[str, Any]:
    """Airflow's channels of alerts are the machines', too; a person fills their secrets (dags/README.md)."""
    prefix = "airflow/connections/alert_"
    found = {name: secret_id for name, secret_id in outputs.connections.items() if name.startswith(prefix)}
    return {name.rpartition("/")[2]: secret(secret_id, "value") for name, secret_id in found.items()}


def never_banned(way: WayIn) -> dict[str, list[str]]:
    """Operators, who may have many keys in their agent, and our own network, whose jobs may hold an old password."""
    addresses = [*way.operators, *way.subnets]
    return {"baseline_ban_never": addresses, "tls_proxy_ban_never": ["127.0.0.1/8", "::1", *addresses]}


def inventory(deployment: Deployment, outputs: Outputs, way: WayIn) -> dict[str, Any]:
    """The inventory: a group for each machine with its roles' variables, and all outputs as the variable `cloud`."""
    variables = {"mlflow": mlflow_variables, "database": database_variables}
    groups = {
        # A host that has its group's name makes Ansible warn.
        name: {"hosts": {f"{name}-vm": {"ansible_host": name}}, "vars": variables[name](outputs)}
        for name in hosts(outputs)
    }
    common = {"ansible_ssh_common_args": f"-F '{deployment.ssh_config}'", "cloud": outputs.raw, **never_banned(way)}
    common["monitoring_channels"] = channels(outputs)
    return {"all": {"children": groups, "vars": common}}


def write(deployment: Deployment, outputs: Outputs, way: WayIn) -> None:
    """Writes both files. JSON is YAML, so no library is needed for the inventory."""
    write_private(deployment.ssh_config, ssh_config(deployment, outputs, way))
    deployment.inventory.parent.mkdir(parents=True, exist_ok=True)
    write_private(deployment.inventory, HEADER + json.dumps(inventory(deployment, outputs, way), indent=2) + "\n")
