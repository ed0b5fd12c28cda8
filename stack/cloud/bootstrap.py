"""`make bootstrap`: from an empty folder of the cloud to a system that retrains. Every step can be run again."""

import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.table import Table

from stack.cloud import inventory, readiness
from stack.cloud.account import Account, environment_without_secrets, storage_endpoint
from stack.cloud.site import Site, contents
from stack.cloud.terraform import STATE_KEY, Terraform, release_stale_lock, wait_for_terraform
from stack.common import envs, lockbox, release
from stack.common.console import console, say, step
from stack.common.errors import StackError
from stack.common.files import alone, write_private
from stack.common.storage import REGION, storage_client
from stack.local.preflight import report

REMOVAL = "removing everything but the remote state"  # the step of `make destroy` that this undoes
PATIENCE = 600  # seconds until a new machine answers ssh
# Terraform's variables that are values of secrets which Lockbox has made -> those secrets' names after the prefix.
PASSWORDS = {"database_password": "database", "airflow_admin_password": "airflow-admin"}
MADE_BY_LOCKBOX = "yandex_lockbox_secret.password"
LOGIN_OF_JOBS = "jobs/mlflow"  # what jobs log in to MLflow with


@dataclass(frozen=True)
class Options:
    """What a person may say to `make bootstrap`."""

    site: Site
    schedule: str
    yes: bool = False


def bootstrap(options: Options) -> None:
    begun, site = time.monotonic(), options.site
    site.folder.mkdir(parents=True, exist_ok=True)
    site.folder.chmod(0o700)
    with alone(site, "make bootstrap", "CLOUD"):
        account = ready(site)
        remote = remote_state(site, account, options.yes)
        outputs = build(site, account, remote, options.yes)
        machines(site, outputs)
        uploaded = code(account, outputs, options.schedule)
        with step("Airflow's connections and variable"):
            airflow_secrets(account, outputs, uploaded, certificate(site).read_text())
        card(site, outputs, time.monotonic() - begun)


# ------------------------------------------------------------------------------------------------ asking
def confirm(question: str, yes: bool) -> None:
    """Returns where the answer is yes.

    Raises:
        StackError: it is not, or nobody is there to answer.
    """
    if yes:
        return
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise StackError(
            f"The answer was {answer!r}: this was not done. Run it again, or with YES=1 to skip the question."
        )


def ready(site: Site) -> Account:
    with step("checking tools, settings and credentials"):
        if not report(readiness.checks(site)):
            raise StackError("Mend what is marked FAIL, then run this again; nothing was changed.")
    wait_for_terraform(site)
    return Account.find()


# ------------------------------------------------------------------------------------------------ Terraform
@dataclass(frozen=True)
class Remote:
    """Where the main module's state is, and the key that reaches it."""

    bucket: str
    key: str
    secret: str

    def client(self) -> Any:
        return storage_client(storage_endpoint(), self.key, self.secret)

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


def state_module(site: Site, account: Account) -> Terraform:
    """The module that makes the bucket for state; its own state, which holds no secret, is in the site's folder."""
    variables = {f"TF_VAR_{name}": value for name, value in readiness.require_settings(site).items()}
    return Terraform(site, "state", account.environment() | variables, site.folder / "state.tfstate")


def remote_state(site: Site, account: Account, yes: bool) -> Remote:
    """The bucket for Terraform's state and its key, made at the first run, where the answer is yes."""

    def make() -> None:
        module = state_module(site, account)
        module.init()
        if changes := module.plan():
            confirm(f"A bucket for Terraform's state comes first: {count(changes)}. Make it so?", yes)
            module.apply()
        site.save("remote-state", module.outputs())

    inputs = [contents(site.terraform / "state"), readiness.require_settings(site)]
    site.once("remote state", inputs, make)
    made = site.load("remote-state", {})
    key = lockbox.payload(account.sdk(), made["key_secret_id"])
    remote = Remote(made["bucket"], key["access_key"], key["secret_key"])
    # A second copy: whoever loses the site's folder can still go on, or destroy.
    remote.client().put_object(
        Bucket=remote.bucket, Key="state.tfstate", Body=(site.folder / "state.tfstate").read_bytes()
    )
    return remote


def main_module(site: Site, account: Account, remote: Remote, passwords: dict[str, str]) -> Terraform:
    """The main module, ready for use, whatever a killed run has left; the passwords go by the environment."""
    backend = site.folder / "backend.hcl"
    write_private(backend, remote.backend())
    variables = {f"TF_VAR_{name}": value for name, value in passwords.items()}
    module = Terraform(site, ".", account.environment() | remote.environment() | variables)
    module.init(f"-backend-config={backend.resolve()}")
    release_stale_lock(site, module, remote.client(), remote.bucket)
    return module


def passwords(account: Account, settings: dict[str, Any]) -> dict[str, str]:
    """Terraform's variable -> the password that Lockbox has made for it, where it has."""
    cloud = account.sdk()
    known = lockbox.secrets_by_name(cloud, settings["folder_id"])
    names = {variable: f"{settings['prefix']}-{name}" for variable, name in PASSWORDS.items()}
    return {
        variable: lockbox.payload(cloud, known[name].id)["password"]
        for variable, name in names.items()
        if name in known
    }


def count(changes: dict[str, str]) -> str:
    return ", ".join(f"{number} to {action}" for action, number in Counter(changes.values()).items())


def build(site: Site, account: Account, remote: Remote, yes: bool) -> dict[str, Any]:
    """Shows the plan, asks, and makes it so; returns Terraform's outputs."""
    settings = readiness.require_settings(site)
    with step("Terraform: plan"):
        # At first Lockbox has no password; a plan needs only that there is one.
        known = dict.fromkeys(PASSWORDS, "not made yet") | passwords(account, settings)
        module = main_module(site, account, remote, known)
        changes = module.plan()
    if changes:
        confirm(f"{count(changes)}. Make it so?", yes)
        # Machines may be new: they are to be set up again, and to say who they are.
        site.forget("machines", REMOVAL)
        (site.folder / "known_hosts").unlink(missing_ok=True)
        with step("Terraform: apply"):
            if any(address.startswith(MADE_BY_LOCKBOX) for address in changes):
                module.plan(f"-target={MADE_BY_LOCKBOX}")
                module.apply()
                module = main_module(site, account, remote, passwords(account, settings))
                module.plan()
            module.apply()
    else:
        say("Terraform: everything is as the settings say")
    outputs = module.outputs()
    site.save("outputs", outputs)
    return outputs


# ------------------------------------------------------------------------------------------------ machines
def machines(site: Site, outputs: dict[str, Any]) -> None:
    """Sets up the machines by the playbook, where it, the inventory or the machines have changed."""
    inventory.write(site, outputs)
    sources = ("roles", "site.yml", "ansible.cfg", "inventory")
    inputs = contents(*(site.project / name for name in sources), envs.LOCKS / "mlflow.txt")
    site.once("machines", inputs, lambda: play(site, outputs))


def play(site: Site, outputs: dict[str, Any]) -> None:
    envs.ensure("ansible", lambda text: say(f"  {text}"))
    for name, address in inventory.hosts(outputs).items():
        if name == "mlflow" and inventory.is_private(address):
            say(
                f"  {name} has only the internal address {address}: this computer must be in that network (VPN), "
                "or set mlflow = { public = true } in terraform.tfvars"
            )
    say(f"  waiting up to {PATIENCE} s for the machines to answer")
    run_ansible(site, "ansible", "all", "-m", "ansible.builtin.wait_for_connection", "-a", f"timeout={PATIENCE}")
    run_ansible(site, "ansible-playbook", str(site.project / "site.yml"))
    copy = f"src={{{{ mlflow_ca_file }}}} dest={certificate(site)} flat=true"
    run_ansible(site, "ansible", "mlflow", "--become", "-m", "ansible.builtin.fetch", "-a", copy)


def certificate(site: Site) -> Path:
    """MLflow's own authority, for whoever is to trust it."""
    return site.folder / "mlflow-ca.pem"


def run_ansible(site: Site, program: str, *arguments: str) -> None:
    command = [str(envs.ENVS / "ansible" / "bin" / program), "-i", str(site.inventory), *arguments]
    path = f"{envs.ENVS / 'ansible' / 'bin'}:{environment_without_secrets()['PATH']}"
    done = subprocess.run(command, cwd=site.project, env=environment_without_secrets() | {"PATH": path})
    if done.returncode:
        raise StackError(
            f"`{program}` ended with status {done.returncode}; what failed is above. Mend it and run this again; it "
            f"goes on from here. To look at the machine: `ssh -F {site.ssh_config} mlflow`."
        )


# ------------------------------------------------------------------------------------------------ code and settings
def code(account: Account, outputs: dict[str, Any], schedule: str) -> str:
    """Uploads the jobs and the DAGs; returns the jobs' release."""
    with step("jobs and DAGs"):
        s3, buckets = account.object_store(), outputs["buckets"]
        uploaded = release.upload_jobs(s3, buckets["jobs"])
        say(f"  jobs: s3://{buckets['jobs']}/{uploaded}")
        dags = release.dag_files(schedule)
        release.upload_dags(s3, buckets["dags"], dags)
        say(f"  DAGs: s3://{buckets['dags']}/dags, {len(dags)} files")
    return uploaded


def airflow_secrets(account: Account, outputs: dict[str, Any], uploaded: str, authority: str) -> None:
    """Lockbox: Airflow's connections and variable; passwords go from one secret to another, through memory only.

    `authority` is the certificate (PEM) that MLflow's clients are to trust.
    """
    cloud, folder_id, mlflow = account.sdk(), outputs["folder_id"], outputs["mlflow"]
    known = lockbox.secrets_by_name(cloud, folder_id)
    password = {
        user: lockbox.payload(cloud, mlflow["secret_ids"][user])[mlflow["secret_key"]]
        for user in ("airflow", "trainer")
    }
    storage = lockbox.payload(cloud, outputs["airflow"]["object_storage_secret_id"])
    jobs = {"username": "trainer", "password": password["trainer"], "ca": authority}
    jobs_secret = lockbox.put_secret(cloud, folder_id, known, LOGIN_OF_JOBS, jobs)
    values: dict[str, dict[str, Any]] = {
        "airflow/connections/mlflow": {
            **{"conn_type": "http", "schema": "https", "host": mlflow["host"], "port": 443},
            **{"login": "airflow", "password": password["airflow"], "extra": {"ca": authority}},
        },
        "airflow/connections/object_storage": {
            **{"conn_type": "aws", "login": storage["access_key"], "password": storage["secret_key"]},
            "extra": {"endpoint_url": storage_endpoint(), "region_name": REGION},
        },
        "airflow/variables/fraud_retraining": release.retraining_variable(
            outputs["buckets"], cluster(outputs), uploaded, jobs_secret
        ),
    }
    lockbox.put_for_airflow(cloud, folder_id, known, values)


def cluster(outputs: dict[str, Any]) -> dict[str, Any]:
    """What a run's cluster is made of, as dags/retraining/plan.py reads it."""
    spec = {
        "folder_id": outputs["folder_id"],
        **outputs["dataproc"],
        "max_hosts": outputs["dataproc"]["compute_max_count"],
    }
    return {name: value for name, value in spec.items() if value is not None}


# ------------------------------------------------------------------------------------------------ the card
def card(site: Site, outputs: dict[str, Any], seconds: float) -> None:
    """Where everything is and how to get in."""
    mlflow, airflow = outputs["mlflow"], outputs["airflow"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")  # an address is of use only whole
    console_url = f"https://console.yandex.cloud/folders/{outputs['folder_id']}"
    grid.add_row("MLflow", f"{mlflow['url']}  user admin, authority {certificate(site)}")
    grid.add_row("", f"password: yc lockbox payload get {mlflow['secret_ids']['admin']} --key password")
    if airflow["url"]:
        grid.add_row("Airflow", f"{airflow['url']}  user admin")
        grid.add_row("", f"password: yc lockbox payload get {airflow['admin_secret_id']} --key password")
        grid.add_row("", "switch on the DAGs `retrain` and `sweep` there once")
    for name in inventory.hosts(outputs):
        grid.add_row(f"machine {name}", f"ssh -F {site.ssh_config} {name}")
    if not mlflow["public_address"]:
        grid.add_row(
            "", f"a browser's way in: ssh -F {site.ssh_config} -D 1080 mlflow, and its SOCKS proxy 127.0.0.1:1080"
        )
    grid.add_row("lake", f"s3://{outputs['buckets']['lake']}/raw/YYYY-MM-DD.txt")
    grid.add_row("cloud", console_url)
    grid.add_row("this command", f"{seconds:.0f} s; run it again after every change")
    grid.add_row("next", "`make cost` says what it costs, `make destroy` removes it all")
    console.print(Panel(grid, title="fraud-retraining", expand=False))
