"""What Terraform makes: the main module, with the passwords that Lockbox has made for it."""

from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.interruptions import release_stale_lock
from stack.cloud.outputs import Outputs
from stack.cloud.remote_state import Remote
from stack.cloud.settings import Settings, read_settings
from stack.cloud.terraform import Terraform, count_actions
from stack.common import lockbox
from stack.common.console import confirm, say, step
from stack.common.files import write_private

REMOVAL = "removing everything but the remote state"  # the step of `make destroy` that this undoes
# Terraform's variables that are values of secrets which Lockbox has made -> those secrets' names after the prefix.
PASSWORDS = {"database_password": "database", "airflow_admin_password": "airflow-admin"}
MADE_BY_LOCKBOX = "yandex_lockbox_secret_version.password"


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
    cloud = account.sdk()
    known = lockbox.secrets_by_name(cloud, settings.folder_id)
    names = {variable: f"{settings.prefix}-{name}" for variable, name in PASSWORDS.items()}
    return {
        variable: lockbox.payload(cloud, known[name].id)["password"]
        for variable, name in names.items()
        if name in known and known[name].current_version.id
    }


def build(deployment: Deployment, account: Account, remote: Remote, yes: bool) -> Outputs:
    """Shows the plan, asks, and makes it so; returns Terraform's outputs."""
    settings = read_settings(deployment)
    with step("Terraform: plan"):
        # At first Lockbox has no password; a plan needs only that there is one.
        known = dict.fromkeys(PASSWORDS, "not made yet") | passwords(account, settings)
        module = main_module(deployment, account, remote, known)
        changes = module.plan()
    if changes:
        confirm(f"{count_actions(changes)}. Make it so?", yes)
        # Machines may be new: they are to be set up again, and to say who they are.
        deployment.forget("machines", REMOVAL)
        (deployment.folder / "known_hosts").unlink(missing_ok=True)
        with step("Terraform: apply"):
            if any(address.startswith(MADE_BY_LOCKBOX) for address in changes):
                module.plan(f"-target={MADE_BY_LOCKBOX}")
                module.apply()
                module = main_module(deployment, account, remote, passwords(account, settings))
                module.plan()
            module.apply()
    else:
        say("Terraform: everything is as the settings say")
    outputs = module.outputs()
    deployment.save("outputs", outputs)
    return Outputs.parse(outputs)
