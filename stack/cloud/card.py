"""The card at the end: where everything is and how to get in."""

from rich.panel import Panel
from rich.table import Table

from stack.cloud.deployment import Deployment
from stack.cloud.inventory import hosts
from stack.cloud.machines import certificate
from stack.cloud.outputs import Outputs
from stack.cloud.way_in import WayIn
from stack.common.console import console
from stack.running.airflow_api import DAGS


def show(deployment: Deployment, outputs: Outputs, way: WayIn, seconds: float) -> None:
    """Where everything is and how to get in."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")  # an address is of use only whole
    ways = here(deployment, outputs) if deployment.is_local else in_the_cloud(deployment, outputs, way)
    more, lake = deployment.argument, f"s3://{outputs.buckets.lake}/raw/YYYY-MM-DD.txt"
    ways += [
        ("lake", f"{lake}, `make upload{more}` puts files there"),
        ("this command", f"{seconds:.0f} s; run it again after every change"),
        ("next", f"switch on the DAGs in Airflow: {', '.join(DAGS)}"),
        ("", f"`make status{more}` says how it is, `make cost{more}` what it costs"),
        ("", f"`make pause{more}` saves most of that, `make destroy{more}` removes it all"),
    ]
    for name, text in ways:
        grid.add_row(name, text)
    console.print(Panel(grid, title="fraud-retraining", expand=False))


def in_the_cloud(deployment: Deployment, outputs: Outputs, way: WayIn) -> list[tuple[str, str]]:
    """Pages, passwords, machines, and the way to what has no public address."""
    mlflow, airflow = outputs.mlflow, outputs.airflow
    rows = [
        ("MLflow", f"{mlflow.url}  user admin, authority {certificate(deployment)}"),
        ("", f"password: yc lockbox payload get {mlflow.secret_ids.admin} --key password"),
    ]
    if airflow.url:
        rows.append(("Airflow", f"{airflow.url}  user admin"))
        rows.append(("", f"password: yc lockbox payload get {airflow.admin_secret_id} --key password"))
    rows += [(f"machine {name}", f"ssh -F {deployment.ssh_config} {name}") for name in hosts(outputs)]
    if not mlflow.public_address:
        if way.jump_host:
            rows.append(("", f"by the jump host {way.jump_host}, which that file names"))
        tunnel = f"ssh -F {deployment.ssh_config} -D 1080 mlflow"
        rows.append(("", f"a browser's way in: {tunnel}, and its SOCKS proxy 127.0.0.1:1080"))
    return [*rows, ("cloud", f"https://console.yandex.cloud/folders/{outputs.folder_id}")]


def here(deployment: Deployment, outputs: Outputs) -> list[tuple[str, str]]:
    """Pages and machines, which are in a network of their own."""
    pages = [("MLflow", outputs.mlflow.url), ("Airflow", outputs.airflow.url)]
    way = f"`make ui{deployment.argument}` says the passwords, and lets a browser in as long as it runs"
    machines = [(f"machine {name}", f"`make ssh{deployment.argument} HOST={name}`") for name in hosts(outputs)]
    return [*((name, f"{url}  user admin") for name, url in pages if url), ("", way), *machines]
