"""The sizes that are paid for: of what was built, or, before that, of the configuration itself.

Real Terraform plans the configuration against a mocked provider: no account is needed.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from stack.cloud import registry
from stack.cloud.deployment import Deployment
from stack.cloud.outputs import CostInputs
from stack.cloud.readiness import require_terraform
from stack.cloud.settings import require_known
from stack.cloud.terraform import QUIET
from stack.common.errors import StackError

MOCKED = """mock_provider "yandex" {}
variables {
  folder_id              = "b1g00000000000000000"
  operator_cidrs         = ["198.51.100.7/32"]
  ssh                    = { os_login = true }
  database_password      = "of no use"
  airflow_admin_password = "of no use"
}
run "plan" {
  command = plan
}
"""


def find_sizes(deployment: Deployment) -> tuple[str, CostInputs]:
    """(what they are of, the sizes)."""
    built = deployment.load("outputs", {})
    if "cost_inputs" in built:
        return "what was built", CostInputs.parse(built["cost_inputs"])
    with tempfile.TemporaryDirectory() as folder:
        return "the configuration, nothing is built yet", plan(deployment, Path(folder) / "terraform")


def plan(deployment: Deployment, copy: Path) -> CostInputs:
    """The sizes of the configuration, planned by `terraform test` in a copy of the module.

    Raises:
        StackError: Terraform refuses the configuration; with its message.
    """
    require_terraform()
    if deployment.settings.exists():
        require_known(deployment)
    registry.require_provider(deployment, "cost")
    copy.mkdir()
    for file in deployment.terraform.iterdir():
        if file.is_file():
            shutil.copy(file, copy)
    for neighbour in deployment.project.iterdir():  # the module reads requirements/
        if neighbour.name != copy.name:
            (copy.parent / neighbour.name).symlink_to(neighbour)
    (copy / "tests").mkdir()
    (copy / "tests" / "cost.tftest.hcl").write_text(MOCKED)
    data = deployment.folder / "terraform" / "cost"  # keeps the provider
    data.mkdir(parents=True, exist_ok=True)
    environment = os.environ | QUIET | registry.environment(deployment) | {"TF_DATA_DIR": str(data.resolve())}
    run = ["terraform", f"-chdir={copy}"]
    begun = subprocess.run([*run, "init", "-backend=false"], env=environment, capture_output=True, text=True)
    if begun.returncode:
        raise StackError(
            f"`terraform init` of a copy of {deployment.terraform} failed:\n{begun.stderr.strip()[-1500:]}\n"
            + (registry.advice(deployment) if any(sign in begun.stderr for sign in registry.SIGNS) else "")
        )
    tested = subprocess.run([*run, "test", "-json", "-verbose"], env=environment, capture_output=True, text=True)
    events = [json.loads(line) for line in tested.stdout.splitlines()]
    for event in events:
        if event["type"] == "test_plan":
            return CostInputs.parse(event["test_plan"]["output_changes"]["cost_inputs"]["after"])
    problems = [event["diagnostic"] for event in events if event["type"] == "diagnostic"]
    text = "\n".join(f"{each['summary']}: {each['detail']}" for each in problems if each["severity"] == "error")
    raise StackError(f"Terraform refuses the configuration in {deployment.terraform}:\n{text or tested.stderr[-1500:]}")
