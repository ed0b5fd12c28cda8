"""What users delete goes in the end, and nothing else: `make drill-machines`."""

import time

from tests.support.database_machine import ask
from tests.support.machines import LAB, STATE, inside
from tests.support.mlflow_machine import MLFLOW, artifact, client

OBJECTS = STATE / f"{LAB}-objects"


def test_what_users_deleted_goes_for_good() -> None:
    """`mlflow gc`, as its timer starts it, with nothing to wait for."""
    gone, kept = client("upload", 2), client("upload", 2)
    client("delete", gone["run"], user="admin")
    host, settings = inside(MLFLOW), "/etc/mlflow/environment"
    host.check_output(f"cp -p {settings} /root/kept && sed -i 's/^GC_OLDER_THAN=.*/GC_OLDER_THAN=1s/' {settings}")
    try:
        time.sleep(2)
        host.check_output("systemctl start mlflow-job@gc.service")
    finally:
        host.check_output(f"cp -p /root/kept {settings}")
    left = ask(f"SELECT run_uuid FROM runs WHERE run_uuid IN ('{gone['run']}', '{kept['run']}')", "mlflow")
    assert left == kept["run"]
    objects = OBJECTS / "data" / "artifacts" / "mlflow"
    assert not list(objects.glob(f"*/{gone['run']}/**/model.bin"))
    assert list(objects.glob(f"*/{kept['run']}/**/model.bin"))
    assert artifact(kept["run"]) == kept["sha256"]
