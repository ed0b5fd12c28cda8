"""`make ui` in the cloud: addresses, how to log in, and a way to MLflow's page where it has no public address."""

from local_cloud.core.ports import free_ports
from stack.cloud import ssh
from stack.cloud.machines import certificate
from stack.cloud.system import CloudSystem
from stack.cloud.way_in import takes
from stack.common.console import say

SOCKS = 1080  # the usual port of such a proxy; another one if it is taken


def password(secret_id: str, key: str = "password") -> str:
    """How a person sees it; what is printed here may be kept by a terminal or a log."""
    return f"yc lockbox payload get {secret_id} --key {key}"


def show(system: CloudSystem) -> None:
    """Prints where everything is; holds the way open until Ctrl-C, if there must be one."""
    system.require()
    mlflow, airflow = system.outputs.mlflow, system.outputs.airflow
    if airflow.url:
        say(f"Airflow   {airflow.url}  user admin, password: {password(str(airflow.admin_secret_id))}")
    else:
        say("Airflow   is no part of this deployment (airflow.enabled)")
    login = f"user {mlflow.user}, password: {password(mlflow.secret_ids.admin, mlflow.secret_key)}"
    say(f"MLflow    {mlflow.url}  {login}")
    say(f"          its certificate is signed by {certificate(system.deployment)}: let the browser trust that file")
    say(f"console   https://console.yandex.cloud/folders/{system.outputs.folder_id}")
    if mlflow.public_address:
        say(f"          the name must lead to {mlflow.public_address} here: /etc/hosts, if no DNS says so")
    elif not takes(mlflow.internal_address, 443):
        port = free_ports(1)[0] if takes("127.0.0.1", SOCKS) else SOCKS
        say(f"MLflow has no public address: the browser's way in is the SOCKS proxy 127.0.0.1:{port}, which is to")
        say("resolve names, too (Firefox: Proxy DNS when using SOCKS v5), for example:")
        say(f"  chromium --user-data-dir=/tmp/mlflow --proxy-server=socks5://127.0.0.1:{port} {mlflow.url}")
        say("It is open until Ctrl-C.")
        ssh.socks(system.deployment, "mlflow", port)
