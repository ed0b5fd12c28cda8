"""What Terraform makes: the main module, with the passwords that Lockbox has made for it."""

from typing import Any

from dags.retraining.patience import FRESH
from stack.cloud import lost, quota_needs
from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.interruptions import release_stale_lock
from stack.cloud.outputs import Outputs
from stack.cloud.protection import require_kept
from stack.cloud.quotas import require_quotas
from stack.cloud.remote_state import Remote
from stack.cloud.settings import Settings, read_settings
from stack.cloud.terraform import Terraform, count_actions
from stack.common import lockbox
from stack.common.console import confirm, say, step
from stack.common.errors import StackError
from stack.common.files import write_private
from stack.common.waiting import wait_until

REMOVAL = "removing everything but the remote state"  # the step of `make destroy` that this undoes
# Terraform's variables that are values of secrets which Lockbox has made -> those secrets' names after the prefix.
PASSWORDS = {"database_password": "database", "airflow_admin_password": "airflow-admin"}
MADE_BY_LOCKBOX = "yandex_lockbox_secret_version.password"
NETWORK = "yandex_vpc_subnet.main"  # with it come the network, its gateway and its routes


def main_module(deployment: Deployment, account: Account, remote: Remote, passwords: dict[str, str]) -> Terraform:
    """The main module, ready for use, whatever a killed run has left; the passwords go by the environment."""
    backend = deployment.folder / "backend.hcl"
    write_private(backend, remote.backend())
    variables = {f"TF_VAR_{name}": value for name, value in passwords.items()}
    module = Terraform(deployment, ".", account.environment() | remote.environment() | variables)
    module.init(f"-backend-config={backend.resolve()}")
    release_stale_lock(deployment, module, remote.client(), remote.bucket)
    return module


def passwords(account: Account, settings: Settings) -> dict[str, str]:
    """Terraform's variable -> the password that Lockbox has made for it, if it has."""
    cloud = account.sdk(FRESH)
    known = lockbox.secrets_by_name(cloud, settings.folder_id)
    names = {variable: f"{settings.prefix}-{name}" for variable, name in PASSWORDS.items()}
    return {
        variable: lockbox.payload(cloud, known[name].id)["password"]
        for variable, name in names.items()
        if name in known and known[name].current_version.id
    }


def await_passwords(account: Account, settings: Settings, made: set[str]) -> dict[str, str]:
    """As `passwords`, when those that were made a second ago are among them: a list may lack them for a moment."""
    wait_until(lambda: made <= passwords(account, settings).keys(), FRESH.seconds, 1)
    return passwords(account, settings)


def build(deployment: Deployment, account: Account, remote: Remote, yes: bool, adopted: str = "") -> Outputs:
    """Shows the plan, asks, and makes it so; returns Terraform's outputs.

    Args:
        adopted: what the cloud has and the state is to know first, as `ADDRESS=ID`, apart by spaces.
    """
    settings = read_settings(deployment)
    with step("Terraform: plan"):
        # At first Lockbox has no password; a plan needs only that there is one.
        known = dict.fromkeys(PASSWORDS, "not made yet") | passwords(account, settings)
        module = main_module(deployment, account, remote, known)
        for address, identity in lost.parse_imports(adopted):
            module.adopt(address, identity)
        changes = module.plan()
    if changes:
        require_kept(module.changes)
        require_room(deployment, account, settings, module)
        confirm(f"{count_actions(changes)}. Make it so?", yes)
        # Machines may be new: they are to be set up again, and to say who they are.
        deployment.forget("machines", REMOVAL)
        (deployment.folder / "known_hosts").unlink(missing_ok=True)
        with step("Terraform: apply"):
            if any(address.startswith(MADE_BY_LOCKBOX) for address in changes):
                module.plan(f"-target={MADE_BY_LOCKBOX}")
                module.apply()
                made = {name for name, secret in PASSWORDS.items() if f'{MADE_BY_LOCKBOX}["{secret}"]' in changes}
                module = main_module(deployment, account, remote, await_passwords(account, settings, made))
                module.plan()
            apply(account, settings, module)
    else:
        say("Terraform: everything is as the settings say")
    outputs = module.outputs()
    deployment.save("outputs", outputs)
    return Outputs.parse(outputs)


def require_room(deployment: Deployment, account: Account, settings: Settings, module: Terraform) -> None:
    """Whether the cloud will take the plan: no name is taken, and the quotas suffice.

    Raises:
        StackError: it will not; nothing was made.
    """
    with step("asking the cloud whether there is room"):
        sdk = account.sdk()
        lost.refuse(lost.find(sdk, settings.folder_id, module.changes))
        run = run_needs(module.planned_outputs)
        require_quotas(sdk, settings, quota_needs.of_plan(module.changes), run, insist=deployment.force)


def run_needs(outputs: dict[str, Any]) -> quota_needs.Needs:
    """What a run takes: as the configuration says it, or else by the cluster's settings."""
    said = outputs.get("quota_needs_of_a_run")
    return quota_needs.Needs(said) if said else quota_needs.of_run(outputs["dataproc"])


def apply(account: Account, settings: Settings, module: Terraform) -> None:
    """Applies the last plan.

    Raises:
        StackError: it failed; also names what the cloud has made and the state does not know.
    """
    wanted = module.changes
    try:
        module.apply()
    except StackError as problem:
        known = {each["address"] for each in module.resources()}
        left = lost.find(account.sdk(), settings.folder_id, [each for each in wanted if each["address"] not in known])
        if not left:
            raise
        raise StackError(
            f"{problem} The cloud has made, or is still making, what the state does not know: "
            f"{'; '.join(map(str, left))}. When the console shows it as running: `make bootstrap "
            f"IMPORT='{lost.imports(left)}'`."
        ) from None


def make_network(deployment: Deployment, account: Account, remote: Remote, yes: bool) -> None:
    """The network and its way out alone, for whoever must put a jump host or a VPN's end into it first."""
    with step("Terraform: the network"):
        module = main_module(deployment, account, remote, dict.fromkeys(PASSWORDS, "of no use"))
        if changes := module.plan(f"-target={NETWORK}"):
            confirm(f"{count_actions(changes)}. Make it so?", yes)
            module.apply()
    say("the network is there; put the jump host or the VPN's end into it, name it in terraform.tfvars, go on")
