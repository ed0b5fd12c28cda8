"""The sizes that are paid for: of what was built, or, before that, of the configuration itself.

Real Terraform plans the configuration against a mocked provider: no account is needed.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Sized:
    """What is paid for, of what (`of`, for a person), and the budget of its runs (`run`, `month`; 0 is none)."""

    of: str
    sizes: CostInputs
    budget: Mapping[str, float]

    @classmethod
    def parse(cls, of: str, outputs: Mapping[str, Any]) -> "Sized":
        """Of Terraform's outputs, name -> value."""
        return cls(of, CostInputs.parse(outputs["cost_inputs"]), outputs.get("budget") or {})


def built(deployment: Deployment) -> Sized | None:
    """What was deployed from here, if anything was."""
    outputs = deployment.load("outputs", {})
    return Sized.parse("what was built", outputs) if "cost_inputs" in outputs else None


def configured(deployment: Deployment) -> Sized:
    """What the settings say now."""
    return Sized.parse("the configuration, nothing is built yet", planned(deployment))


def default(deployment: Deployment) -> Sized:
    """What the module says where the settings say nothing."""
    return Sized.parse("the defaults", planned(deployment, with_settings=False))


def planned(deployment: Deployment, with_settings: bool = True) -> dict[str, Any]:
    """Name -> value of the outputs that a plan knows."""
    with tempfile.TemporaryDirectory() as folder:
        return plan(deployment, Path(folder) / "terraform", with_settings)


def plan(deployment: Deployment, copy: Path, with_settings: bool = True) -> dict[str, Any]:
    """The outputs of the configuration, planned by `terraform test` in a copy of the module.

    Raises:
        StackError: Terraform refuses the configuration; with its message.
    """
    require_terraform()
    if deployment.settings.exists():
        require_known(deployment)
    registry.require_provider(deployment, "cost")
    copy.mkdir()
    for file in deployment.terraform.iterdir():
        if file.is_file() and (with_settings or not file.name.endswith((".tfvars", ".tfvars.json"))):
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
            return {name: each.get("after") for name, each in event["test_plan"]["output_changes"].items()}
    problems = [event["diagnostic"] for event in events if event["type"] == "diagnostic"]
    text = "\n".join(f"{each['summary']}: {each['detail']}" for each in problems if each["severity"] == "error")
    raise StackError(f"Terraform refuses the configuration in {deployment.terraform}:\n{text or tested.stderr[-1500:]}")
