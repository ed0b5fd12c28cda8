"""The card at the end: where everything is and how to get in."""

from rich.panel import Panel
from rich.table import Table

from stack.cloud.deployment import Deployment
from stack.cloud.inventory import hosts
from stack.cloud.machines import certificate
from stack.cloud.outputs import Outputs
from stack.cloud.way_in import WayIn
from stack.common.console import console


def show(deployment: Deployment, outputs: Outputs, way: WayIn, seconds: float) -> None:
    """Where everything is and how to get in."""
    mlflow, airflow = outputs.mlflow, outputs.airflow
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")  # an address is of use only whole
    console_url = f"https://console.yandex.cloud/folders/{outputs.folder_id}"
    grid.add_row("MLflow", f"{mlflow.url}  user admin, authority {certificate(deployment)}")
    grid.add_row("", f"password: yc lockbox payload get {mlflow.secret_ids.admin} --key password")
    if airflow.url:
        grid.add_row("Airflow", f"{airflow.url}  user admin")
        grid.add_row("", f"password: yc lockbox payload get {airflow.admin_secret_id} --key password")
        grid.add_row("", "switch on the DAGs `retrain` and `sweep` there once")
    for name in hosts(outputs):
        grid.add_row(f"machine {name}", f"ssh -F {deployment.ssh_config} {name}")
    if not mlflow.public_address:
        if way.jump_host:
            grid.add_row("", f"by the jump host {way.jump_host}, which that file names")
        grid.add_row(
            "", f"a browser's way in: ssh -F {deployment.ssh_config} -D 1080 mlflow, and its SOCKS proxy 127.0.0.1:1080"
        )
    grid.add_row("lake", f"s3://{outputs.buckets.lake}/raw/YYYY-MM-DD.txt")
    grid.add_row("cloud", console_url)
    grid.add_row("this command", f"{seconds:.0f} s; run it again after every change")
    grid.add_row("next", "`make status` says how it is, `make cost` what it costs, `make pause` saves most of that,")
    grid.add_row("", "`make destroy` removes it all")
    console.print(Panel(grid, title="fraud-retraining", expand=False))
