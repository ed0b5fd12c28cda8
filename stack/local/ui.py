"""`make ui` in the demo: addresses, and who may log in."""

from rich.console import Console

from stack.local.card import password_of
from stack.local.system import DemoSystem


def show(system: DemoSystem, console: Console) -> None:
    """Prints where everything is. The passwords only where a person reads them, else where they are kept."""
    system.require()
    for service in ("airflow", "mlflow"):
        name = "airflow_password" if service == "airflow" else "mlflow_admin_password"
        console.print(
            f"{service:8} {system.state.url(service)}  user admin  {password_of(system.state, console, name)}"
        )
