"""Terraform's outputs as records; terraform/outputs.tf says the same names, and a test compares them."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from stack.cloud.deployment import Deployment
from stack.common.errors import StackError

Record = TypeVar("Record")


@dataclass(frozen=True)
class Buckets:
    """Their names by purpose."""

    lake: str
    dags: str
    jobs: str
    artifacts: str
    logs: str
    backups: str | None  # only with PostgreSQL on a machine of ours


@dataclass(frozen=True)
class MlflowSecrets:
    """Ids of the secrets with the accounts' passwords, and of the one that signs sessions."""

    admin: str
    trainer: str
    airflow: str
    viewer: str
    session: str


@dataclass(frozen=True)
class Mlflow:
    host: str
    internal_address: str
    public_address: str | None
    url: str
    user: str
    secret_ids: MlflowSecrets
    secret_key: str
    storage_secret_id: str
    service_account_id: str
    instance_id: str | None = None


@dataclass(frozen=True)
class Database:
    """The fields that may be None are those of a machine of ours (`kind` is "vm")."""

    kind: str
    host: str
    port: int
    name: str
    auth_name: str
    user: str
    sslmode: str
    password_secret_id: str
    password_secret_key: str
    internal_address: str | None
    storage_secret_id: str | None
    archive_cipher_secret_id: str | None
    service_account_id: str | None
    version: str
    client: str = "debian"  # whose programs dump it
    connections: int = 100  # that MLflow's machine may have
    data_disk_id: str | None = None
    data_disk: str | None = None  # its device on the machine
    instance_id: str | None = None


@dataclass(frozen=True)
class Airflow:
    """The fields that may be None are those of the managed service, which the settings may leave out."""

    id: str | None
    url: str | None
    service_account_id: str
    object_storage_secret_id: str
    admin_secret_id: str | None
    version: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Size of a run's cluster; above `compute_count` it is autoscaled. After `hours` the sweep deletes it."""

    image: str
    master_preset: str
    compute_preset: str
    compute_count: int
    compute_max_count: int | None
    preemptible: bool
    disk_gib: int
    disk_type: str
    hours: int
    ssh_public_keys: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Dataproc(Cluster):
    """What the DAG needs to make a cluster."""

    subnet_id: str
    security_group_ids: list[str]
    service_account_id: str
    autoscaling_service_account_id: str
    log_group_id: str
    zone: str
    bucket: str


@dataclass(frozen=True)
class Quality:
    """What `prepare` asks of the lake's rows."""

    max_quarantine: float
    refunds: bool
    late_days: int


@dataclass(frozen=True)
class Ripening:
    """When a retrain takes labels as known."""

    share: float


@dataclass(frozen=True)
class Score:
    """What the daily scoring gives to people."""

    budget: int


@dataclass(frozen=True)
class Budget:
    """Above which no cluster is made, at list prices: of a run, and of a month's runs; 0 is none."""

    run: float
    month: float


@dataclass(frozen=True)
class Promotion:
    """Who decides that a better model serves, how many hours a person has to answer; the rule, None: `train`'s own."""

    mode: str
    hours: float
    rule: str | None = None


@dataclass(frozen=True)
class Deployer:
    service_account_id: str
    storage_secret_id: str


@dataclass(frozen=True)
class SecretEntry:
    secret_id: str
    key: str


@dataclass(frozen=True)
class HandedOver:
    """Where the values of Terraform's own variables are; None: not needed."""

    database_password: SecretEntry | None
    airflow_admin_password: SecretEntry | None


@dataclass(frozen=True)
class SshHosts:
    mlflow: str
    database: str | None


@dataclass(frozen=True)
class Ssh:
    user: str
    hosts: SshHosts


@dataclass(frozen=True)
class Machine:
    platform: str
    cores: int
    memory_gib: int
    disk_gib: int
    disk_type: str
    snapshots: int
    data_disk_gib: int | None = None


@dataclass(frozen=True)
class DatabaseSize:
    preset: str
    hosts: int
    disk_gib: int
    disk_type: str
    backup_days: int


@dataclass(frozen=True)
class AirflowPart:
    count: int
    preset: str
    max_count: int | None = None  # workers


@dataclass(frozen=True)
class CostInputs:
    """What is paid for while it stands (machines, database, airflow, …) and for each run (cluster)."""

    machines: dict[str, Machine]
    database: DatabaseSize | None
    airflow: dict[str, AirflowPart] | None
    cluster: Cluster
    public_addresses: int
    nat_gateways: int
    dns_zones: int
    kms_keys: int
    secrets: int
    buckets: list[str]
    log_days: int

    @classmethod
    def parse(cls, value: dict[str, Any]) -> "CostInputs":
        return record(cls, value, "cost_inputs")


@dataclass(frozen=True)
class Outputs:
    folder_id: str
    zone: str
    buckets: Buckets
    mlflow: Mlflow
    database: Database
    airflow: Airflow
    dataproc: Dataproc
    quality: Quality
    ripening: Ripening
    score: Score
    budget: Budget
    promotion: Promotion
    deployer: Deployer
    connections: dict[str, str]
    handed_over: HandedOver
    ssh: Ssh
    cost_inputs: CostInputs
    quota_needs: dict[str, int]  # of each of the cloud's quotas, what stands and one run take together
    quota_needs_of_a_run: dict[str, int]  # the run's part of it
    raw: dict[str, Any] = field(repr=False)  # as Terraform gave them; playbooks have them as the variable `cloud`

    @classmethod
    def parse(cls, value: dict[str, Any]) -> "Outputs":
        """The answer of `terraform output -json`, name -> value.

        Raises:
            StackError: something is missing that outputs.tf has.
        """
        return record(cls, value | {"raw": value}, "outputs")

    @classmethod
    def kept(cls, deployment: Deployment) -> "Outputs":
        """Those of what was made from this folder.

        Raises:
            StackError: nothing was made from here.
        """
        raw = deployment.load("outputs", None)
        if not raw:
            raise StackError(
                f"{deployment.folder} has no deployment: `make bootstrap` makes one. CLOUD=… names another."
            )
        return cls.parse(raw)


def record(kind: type[Record], value: dict[str, Any], where: str) -> Record:
    """A record of that kind, with all records inside it; what no field asks for is left out."""
    hints = get_type_hints(kind)
    wanted = {each.name: each.default is MISSING for each in fields(kind)}  # type: ignore[arg-type]
    if missing := [name for name, required in wanted.items() if required and name not in value]:
        raise StackError(
            f"Terraform's {where} has no {', '.join(missing)}: it was made by another version of this program. "
            "`make bootstrap` makes it anew."
        )
    return kind(**{name: convert(hints[name], value[name], f"{where}.{name}") for name in wanted if name in value})


def convert(kind: Any, value: Any, where: str) -> Any:
    """The value as its field's type says: a record, records by name, or as it is."""
    if value is None:
        return None
    if type(None) in get_args(kind):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if is_dataclass(kind) and isinstance(kind, type):
        return record(kind, value, where)
    if get_origin(kind) is dict and is_dataclass(get_args(kind)[1]):
        return {name: convert(get_args(kind)[1], each, f"{where}.{name}") for name, each in value.items()}
    return value
