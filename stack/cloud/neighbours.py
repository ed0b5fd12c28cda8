"""Several deployments may live in one folder of the cloud: their prefixes tell them apart, so each has its own."""

from stack.cloud import leftovers
from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.settings import read_settings
from stack.common.errors import StackError

# What every deployment makes first, and what is gone at once when it is removed (a key stays for days).
TELLING = ("bucket", "service account", "network")


def require_same(deployment: Deployment) -> None:
    """Raises StackError if the settings are of another deployment than the one that was made from here."""
    settings, made = read_settings(deployment), deployment.load("remote-state", None)
    if made and made["bucket"] != settings.state_bucket:
        raise StackError(
            f"{deployment.folder} holds the deployment with the state in {made['bucket']}, and {deployment.settings} "
            f"says prefix {settings.prefix} in the folder {settings.folder_id} ({settings.state_bucket}). For that one "
            "set both back as they were; another deployment needs a clone and a CLOUD=… of its own. Nothing was done."
        )


def require_own_prefix(deployment: Deployment, account: Account) -> None:
    """Whether the names are free, asked before anything is made for the first time.

    Raises:
        StackError: another deployment in the folder has this prefix, or the settings are not of this one.
    """
    require_same(deployment)
    if deployment.load("remote-state", None) or (deployment.folder / "state.tfstate").exists():
        return
    settings = read_settings(deployment)
    there = [each for each in leftovers.ours(account.sdk(), settings, *TELLING) if each.certain]
    if there:
        raise StackError(
            f"The folder {settings.folder_id} has a deployment with the prefix {settings.prefix} already, and "
            f"{deployment.folder} does not know it: {', '.join(map(str, there[:3]))} and what belongs to them. For "
            f"another deployment set another prefix in {deployment.settings}. To go on with that one copy its .cloud "
            f"here, or take `state.tfstate` from s3://{settings.state_bucket} into {deployment.folder}. Nothing was "
            "made."
        )
