"""A program of the local stack, and what several of them are given."""

import os
from dataclasses import dataclass

from stack.common.envs import ENVS
from stack.common.storage import REGION
from stack.local.state import State

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")


@dataclass(frozen=True)
class Program:
    """A command and its whole environment. Secrets go by the environment or by files, never by arguments."""

    command: list[str]
    environment: dict[str, str]


def base_environment() -> dict[str, str]:
    return {"TZ": "UTC", "LANG": "C.UTF-8", **{k: os.environ[k] for k in INHERITED if k in os.environ}}


def script(environment: str, name: str) -> str:
    return str(ENVS / environment / "bin" / name)


def object_store_client(state: State) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": state.secrets["object_store_key"],
        "AWS_SECRET_ACCESS_KEY": state.secrets["object_store_secret"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
