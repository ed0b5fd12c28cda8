"""The ports of one local stack: seven in a row on 127.0.0.1."""

from local_cloud.core.ports import is_free
from stack.common.errors import StackError

PORTS = ("airflow", "mlflow", "object_store", "cloud", "cloud_rest", "metadata", "airflow_logs")
LAST_PORT = 65535 - len(PORTS) + 1  # from which there are enough
FIRST_BASE, STEP, LAST_BASE = 18000, 10, 18990


def choose_ports(base: int | None) -> dict[str, int]:
    """Consecutive ports from `base`, or from the first base at which all are free.

    Raises:
        StackError: a port of the base that was asked for is taken, or there is no free base at all.
    """
    bases = [base] if base else range(FIRST_BASE, LAST_BASE + 1, STEP)
    for start in bases:
        taken = [start + i for i in range(len(PORTS)) if not is_free(start + i)]
        if not taken:
            return {name: start + i for i, name in enumerate(PORTS)}
    if base:
        raise StackError(
            f"Port {taken[0]} of 127.0.0.1 is taken by another program; PORT={base} needs {base} to "
            f"{base + len(PORTS) - 1} free. Leave PORT out to have free ports chosen, or name another, e.g. PORT=19000."
        )
    raise StackError(f"No {len(PORTS)} free ports in a row from {FIRST_BASE} to {LAST_BASE}; name some: PORT=…")
