"""The settings file, terraform.tfvars, as Terraform itself reads it."""

import functools
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
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

    @property
    def logs_bucket(self) -> str:
        """Where the clusters of our runs log: by it they are known as ours; terraform/storage.tf says the same."""
        return f"{self.prefix}-logs-{self.folder_id}"

    @property
    def state_bucket(self) -> str:
        """Where Terraform's state is; terraform/state says the same."""
        return f"{self.prefix}-tfstate-{self.folder_id}"


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


def require_known(deployment: Deployment) -> str:
    """What the settings file says is read by somebody; Terraform itself drops what it does not know, and warns at most.

    Raises:
        StackError: a variable, or a key of one, does not exist; names it and those that do.
    """
    declared = re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', (deployment.terraform / "variables.tf").read_text(), re.M | re.S
    )
    names = [name for name, block in declared if not re.search(r"^  sensitive\s*= true", block, re.M)]
    loose = "".join(f'variable "{name}" {{ default = null }}\n' for name, _ in declared)
    given, said = console(deployment, loose, {name: f"var.{name}" for name in names})
    known = read_expressions(deployment, **{name: f"var.{name}" for name in names})
    strange = [
        f"{name}; the variables are {', '.join(names)}"
        for name in re.findall(r'declare a variable named "([^"]+)"', " ".join(re.sub("[│╷╵]", " ", said).split()))
    ]
    strange += [text for name in names for text in strangers(given[name], known[name], name)]
    if strange:
        raise StackError(f"{deployment.settings} says what nobody reads: {'. '.join(strange)}. Correct it there.")
    return f"{sum(value is not None for value in given.values())} of {len(names)} variables"


def strangers(given: Any, known: Any, where: str) -> Iterator[str]:
    """Keys, at any depth, that a value has and the same value of its declared type does not."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key in known:
                yield from strangers(value, known[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}; the keys of {where} are {', '.join(known)}"
    elif isinstance(given, list) and isinstance(known, list):
        for index, (one, other) in enumerate(zip(given, known, strict=False)):
            yield from strangers(one, other, f"{where}[{index}]")


def evaluate(deployment: Deployment, declarations: str, expressions: dict[str, str]) -> dict[str, Any]:
    """Name -> value of each expression, by Terraform itself, where the variables are declared so."""
    return console(deployment, declarations, expressions)[0]


def console(deployment: Deployment, declarations: str, expressions: dict[str, str]) -> tuple[dict[str, Any], str]:
    """(name -> value of each expression, what Terraform has said besides)."""
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
    return dict(json.loads(json.loads(done.stdout.strip().splitlines()[-1]))), done.stdout + done.stderr
