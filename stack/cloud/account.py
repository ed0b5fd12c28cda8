"""Who the operator is in the cloud: one IAM token, whatever it was made from.

The variables are those of Terraform's provider: YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE, and, for another cloud than
the public one, YC_ENDPOINT, YC_STORAGE_ENDPOINT_URL, YC_STORAGE_ACCESS_KEY and YC_STORAGE_SECRET_KEY.
"""

import json
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import yandexcloud
from yandex.cloud.iam.v1.iam_token_service_pb2 import CreateIamTokenRequest
from yandex.cloud.iam.v1.iam_token_service_pb2_grpc import IamTokenServiceStub
from yandexcloud.auth import get_auth_token_requester

from dags.retraining.patience import ORDINARY, Patience
from stack.common.errors import StackError
from stack.common.storage import storage_client

KEY_FILE, TOKEN = "YC_SERVICE_ACCOUNT_KEY_FILE", "YC_TOKEN"
# Of another cloud; Terraform's S3 back-end would take them for its own.
OF_OTHERS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
AT_LOG_IN = Patience(5)  # nothing is made yet, and what is mistyped does not answer either
SECRET_VARIABLES = (KEY_FILE, TOKEN, "YC_STORAGE_ACCESS_KEY", "YC_STORAGE_SECRET_KEY")
WAYS = (
    f"Set {KEY_FILE} to the key file of a service account (`yc iam key create --service-account-name … "
    f"--output key.json`), or set {TOKEN} (`export {TOKEN}=$(yc iam create-token)`), or log in with `yc init`."
)


def api_endpoint() -> str:
    """The cloud's API, as host[:port] without the port that the SDK takes for granted."""
    return os.environ.get("YC_ENDPOINT", "api.cloud.yandex.net").removesuffix(":443")


def storage_endpoint() -> str:
    """The object store's address, with its scheme."""
    address = os.environ.get("YC_STORAGE_ENDPOINT_URL", "storage.yandexcloud.net")
    return address if "://" in address else f"https://{address}"


def environment_without_secrets() -> dict[str, str]:
    """This process's environment for programs that need no credentials."""
    return {name: value for name, value in os.environ.items() if name not in (*SECRET_VARIABLES, *OF_OTHERS)}


def read_key(path: Path) -> dict[str, str]:
    """A service account's authorised key.

    Raises:
        StackError: there is no such file, others may read it, or it is no key.
    """
    if not path.is_file():
        raise StackError(f"{KEY_FILE}={path}: there is no such file. {WAYS}")
    if mode := stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StackError(f"{path} may be used by others (mode …{mode:03o}), 0600 is expected: `chmod 600 {path}`.")
    try:
        key = json.loads(path.read_text())
        return {name: key[name] for name in ("id", "service_account_id", "private_key")}
    except (ValueError, KeyError, TypeError) as problem:
        raise StackError(
            f"{path} is no key of a service account ({type(problem).__name__}: {problem}). {WAYS}"
        ) from None


def exchange(**credentials: Any) -> str:
    """An IAM token for a service account's key, or for a person's OAuth token."""
    requester = get_auth_token_requester(endpoint=api_endpoint(), **credentials)
    sdk = AT_LOG_IN.sdk(yandexcloud.SDK(endpoint=api_endpoint(), **credentials))
    request: CreateIamTokenRequest = requester.get_token_request()
    return str(sdk.client(IamTokenServiceStub).Create(request, timeout=30).iam_token)


def token_of_yc() -> str:
    done = subprocess.run(["yc", "iam", "create-token"], capture_output=True, text=True)
    if done.returncode:
        raise StackError(f"`yc iam create-token` failed: {done.stderr.strip()[-300:]}. {WAYS}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Account:
    """A logged-in operator. The token is neither printed nor an argument of any program."""

    source: str
    token: str = field(repr=False)

    @classmethod
    def find(cls) -> "Account":
        """Logs in with what this machine has.

        Raises:
            StackError: there is nothing to log in with, or the cloud refuses it.
        """
        key, token = os.environ.get(KEY_FILE), os.environ.get(TOKEN)
        if key and token:
            raise StackError(f"Both {KEY_FILE} and {TOKEN} are set; unset one: `unset {TOKEN}`.")
        source = f"{KEY_FILE}={key}" if key else TOKEN if token else "`yc`"
        try:
            if key:
                return cls(source, exchange(service_account_key=read_key(Path(key))))
            if token:
                return cls(source, token if token.startswith("t1.") else exchange(token=token))
        except grpc.RpcError as problem:
            raise StackError(
                f"{api_endpoint()} does not take {source}: {problem.code().name}, {problem.details()}. {WAYS}"
            ) from None
        except RuntimeError as problem:  # the SDK looked at the key and refused it
            raise StackError(f"{source}: {problem} {WAYS}") from None
        if shutil.which("yc"):
            return cls(source, token_of_yc())
        raise StackError(
            f"There are no credentials: neither {KEY_FILE} nor {TOKEN} is set, and `yc` is missing. {WAYS}"
        )

    def sdk(self, patience: Patience = ORDINARY) -> yandexcloud.SDK:
        return patience.sdk(yandexcloud.SDK(endpoint=api_endpoint(), iam_token=self.token))

    def environment(self) -> dict[str, str]:
        """For Terraform: this process's environment with the token in place of what it was made from."""
        storage = {k: os.environ[k] for k in SECRET_VARIABLES if k.startswith("YC_STORAGE") and k in os.environ}
        return environment_without_secrets() | storage | {TOKEN: self.token}

    def object_store(self, patience: Patience = ORDINARY) -> Any:
        """A client of the object store: by the storage key if one is set, else by the token, as Terraform does."""
        key, secret = os.environ.get("YC_STORAGE_ACCESS_KEY"), os.environ.get("YC_STORAGE_SECRET_KEY")
        if key:
            return storage_client(storage_endpoint(), key, secret, patience)
        client = storage_client(storage_endpoint(), patience=patience)

        def authorise(request: Any, **_: object) -> None:
            request.headers["X-YaCloud-SubjectToken"] = self.token

        client.meta.events.register("request-created.s3", authorise)
        return client
