"""The settings file, terraform.tfvars, as Terraform itself reads it."""

import functools
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.cloud.deployment import Deployment
from stack.common.errors import StackError

PREFIX = "fraud"  # if the settings say nothing; terraform/variables.tf says the same


@dataclass(frozen=True)
class Settings:
    """Whose folder it is, and the first part of every name there."""

    folder_id: str
    prefix: str


@functools.cache
def read_settings(deployment: Deployment) -> Settings:
    """What this program itself needs of the settings file, read once.

    Raises:
        StackError: the file is missing, is not understood, or has no folder_id.
    """
    found = read_variables(deployment, "folder_id", "prefix")
    if not found["folder_id"]:
        raise StackError(f"{deployment.settings} has no folder_id; `yc resource-manager folder list` shows yours.")
    return Settings(found["folder_id"], found["prefix"] or PREFIX)


def read_variables(deployment: Deployment, *names: str) -> dict[str, Any]:
    """Values that the settings file gives to these variables, read by Terraform itself; no provider, no network.

    Raises:
        StackError: the file is missing, is not understood, or lacks one of the names.
    """
    declarations = "".join(f'variable "{name}" {{ default = null }}\n' for name in names)
    return evaluate(deployment, declarations, {name: f"var.{name}" for name in names})


def read_expressions(deployment: Deployment, **expressions: str) -> dict[str, Any]:
    """Values of expressions over the module's variables, with its defaults and validations; no provider, no network.

    Raises:
        StackError: the file is missing, or Terraform refuses a value; with its message.
    """
    return evaluate(deployment, (deployment.terraform / "variables.tf").read_text(), expressions)


def evaluate(deployment: Deployment, declarations: str, expressions: dict[str, str]) -> dict[str, Any]:
    """Name -> value of each expression, by Terraform itself, where the variables are declared so."""
    if not deployment.settings.exists():
        raise StackError(
            f"{deployment.settings} is missing: copy {deployment.terraform / 'terraform.tfvars.example'} there "
            "and fill it in."
        )
    if not shutil.which("terraform"):
        raise StackError(f"{deployment.settings} is read by `terraform`, which is not on PATH.")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "main.tf").write_text(declarations)
        expression = "jsonencode({" + ", ".join(f"{name} = {text}" for name, text in expressions.items()) + "})\n"
        done = subprocess.run(
            ["terraform", f"-chdir={folder}", "console", f"-var-file={deployment.settings.resolve()}"],
            input=expression,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        message = re.sub(r"\x1b\[\d+m", "", done.stderr).strip()[-800:]
        raise StackError(f"{deployment.settings} is not understood by Terraform:\n{message}")
    # Warnings of values for other variables come first; the answer is a JSON text in a JSON string.
    return dict(json.loads(json.loads(done.stdout.strip().splitlines()[-1])))
