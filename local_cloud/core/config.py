"""The endpoint's configuration: one JSON file that only its owner can read."""

import json
import stat
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file, the value and the remedy."""


@dataclass(frozen=True)
class Key:
    """A service account's authorised key: its id and the public half, in PEM."""

    id: str
    public_key: str


@dataclass(frozen=True)
class ServiceAccount:
    """`roles` are bound on the folder; `key` lets the account log in by a signed JWT."""

    id: str
    roles: tuple[str, ...] = ()
    key: Key | None = None


@dataclass(frozen=True)
class Instance:
    """A machine whose metadata service hands out tokens of `service_account`; port 0 means any free one."""

    name: str
    service_account: str
    metadata_port: int = 0


@dataclass(frozen=True)
class ObjectStore:
    """The S3 server that stands for Object Storage, and the key that jobs and the endpoint use."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "ru-central1"


@dataclass(frozen=True)
class Image:
    """A Data Processing image: an interpreter with its pyspark, a Java home, and a folder of extra jars (S3A).

    `yarn` is a folder of the jars that YARN's own processes need besides; only the engine `yarn` looks at it. `classes`
    is a folder in which `classes.make` may have put an archive of what drivers load.
    """

    python: str
    java_home: str
    jars: str
    yarn: str = ""
    classes: str = ""


@dataclass(frozen=True)
class AirflowImage:
    """The Airflow that runs in a lab: the folder of its program, its version as the API has it, the page's address."""

    bin: str
    version: str
    address: str


ENGINES = ("local", "yarn")


@dataclass(frozen=True)
class Config:
    """What the configuration file holds; see README.md for each key."""

    state: Path
    cloud_id: str
    folder_id: str
    service_accounts: Mapping[str, ServiceAccount]
    host: str = "127.0.0.1"
    grpc_port: int = 0
    rest_port: int = 0
    zone: str = "ru-central1-a"
    instances: tuple[Instance, ...] = ()
    object_store: ObjectStore | None = None
    images: Mapping[str, Image] = field(default_factory=dict)
    spark_defaults: Mapping[str, str] = field(default_factory=dict)
    engine: str = "local"
    yarn_memory_gib: float = 0
    ca_bundle: Path | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    token_seconds: float = 12 * 3600
    resources: tuple[Mapping[str, Any], ...] = ()
    require_nat: bool = True
    lab: str = ""
    tls_names: tuple[str, ...] = ()
    airflow: AirflowImage | None = None
    quotas: Mapping[str, float] = field(default_factory=dict)


def load(path: Path) -> Config:
    """Read the configuration; raises `ConfigError` for a readable file, bad JSON, unknown or missing keys."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode != 0o600:
        raise ConfigError(
            f"{path} holds secrets and has mode {mode:04o}, expected 0600; mend it with: chmod 600 {path}"
        )
    try:
        raw = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    try:
        return _config(raw)
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _config(raw: dict[str, Any]) -> Config:
    known = {f.name for f in fields(Config)}
    needed = {f.name for f in fields(Config) if f.default is MISSING and f.default_factory is MISSING}
    if unknown := sorted(set(raw) - known):
        raise ValueError(f"unknown keys {unknown}; known are {sorted(known)}")
    if missing := sorted(needed - set(raw)):
        raise ValueError(f"missing keys {missing}")
    if raw.get("engine", "local") not in ENGINES:
        raise ValueError(f"engine is {raw['engine']!r}, expected one of {ENGINES}")
    store = raw.get("object_store")
    accounts = {name: _account(value) for name, value in raw["service_accounts"].items()}
    instances = tuple(Instance(**instance) for instance in raw.get("instances", ()))
    for instance in instances:
        if instance.service_account not in accounts:
            raise ValueError(
                f"instance {instance.name!r} names the unknown service account {instance.service_account!r}"
            )
    return Config(
        **{
            **raw,
            "state": Path(raw["state"]).absolute(),
            "service_accounts": accounts,
            "instances": instances,
            "object_store": ObjectStore(**store) if store else None,
            "images": {version: Image(**image) for version, image in raw.get("images", {}).items()},
            "ca_bundle": Path(raw["ca_bundle"]) if raw.get("ca_bundle") else None,
            "resources": tuple(raw.get("resources", ())),
            "airflow": AirflowImage(**raw["airflow"]) if raw.get("airflow") else None,
            "tls_names": tuple(raw.get("tls_names", ())),
        }
    )


def _account(raw: dict[str, Any]) -> ServiceAccount:
    key = raw.get("key")
    return ServiceAccount(raw["id"], tuple(raw.get("roles", ())), Key(**key) if key else None)
