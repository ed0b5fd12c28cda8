"""The bucket that holds Terraform's state, and the key that reaches it."""

from dataclasses import asdict, dataclass
from typing import Any

from dags.retraining.patience import FRESH
from stack.cloud.account import Account, storage_endpoint
from stack.cloud.deployment import Deployment, contents
from stack.cloud.interruptions import STATE_KEY
from stack.cloud.settings import read_settings
from stack.cloud.terraform import Terraform, count_actions
from stack.common import lockbox
from stack.common.console import confirm
from stack.common.storage import REGION, storage_client


@dataclass(frozen=True)
class Remote:
    """Where the main module's state is, and the key that reaches it."""

    bucket: str
    key: str
    secret: str

    def client(self) -> Any:
        return storage_client(storage_endpoint(), self.key, self.secret, FRESH)

    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def backend(self) -> str:
        """The configuration of Terraform's S3 back-end; it holds no secret."""
        return (
            f'bucket = "{self.bucket}"\nkey = "{STATE_KEY}"\nregion = "{REGION}"\n'
            f'endpoints = {{ s3 = "{storage_endpoint()}" }}\nuse_path_style = true\nuse_lockfile = true\n'
            "skip_region_validation = true\nskip_credentials_validation = true\nskip_requesting_account_id = true\n"
            "skip_metadata_api_check = true\nskip_s3_checksum = true\n"
        )


def state_module(deployment: Deployment, account: Account) -> Terraform:
    """The module that makes the bucket for state. Its own state, which has no secret, is in the deployment's folder."""
    variables = {f"TF_VAR_{name}": value for name, value in asdict(read_settings(deployment)).items()}
    return Terraform(deployment, "state", account.environment() | variables, deployment.folder / "state.tfstate")


def remote_state(deployment: Deployment, account: Account, yes: bool) -> Remote:
    """The bucket for Terraform's state and its key, made at the first run, if the answer is yes."""

    def make() -> None:
        module = state_module(deployment, account)
        module.init()
        if changes := module.plan():
            confirm(f"A bucket for Terraform's state comes first: {count_actions(changes)}. Make it so?", yes)
            module.apply()
        deployment.save("remote-state", module.outputs())

    inputs = [contents(deployment.terraform / "state"), asdict(read_settings(deployment))]
    deployment.run_step("remote state", inputs, make)
    made = deployment.load("remote-state", {})
    key = lockbox.payload(account.sdk(FRESH), made["key_secret_id"])
    remote = Remote(made["bucket"], key["access_key"], key["secret_key"])
    # A second copy: whoever loses the deployment's folder can still go on, or destroy.
    remote.client().put_object(
        Bucket=remote.bucket, Key="state.tfstate", Body=(deployment.folder / "state.tfstate").read_bytes()
    )
    return remote
