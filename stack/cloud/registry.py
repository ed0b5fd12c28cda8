"""Where Terraform gets its provider from: the public registry, or a mirror of it if MIRROR=… has asked for one.

The public registry cannot be reached from everywhere; from Russia it answers 403, 404 or nothing. The vendor keeps a
mirror and tells its users to take it (yandex.cloud/docs, "Getting started with Terraform", read 2026-11-26).
"""

import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.cloud.deployment import Deployment
from stack.common.errors import StackError
from stack.common.files import write_private

VENDORS = "https://terraform-mirror.yandexcloud.net/"
SECONDS = 15  # for each answer
# What `terraform init` says if the registry, or a mirror, is out of reach; 404 for its discovery is the third.
SIGNS = ("Failed to query available provider packages", "could not connect to", "Invalid provider registry host")


@dataclass(frozen=True)
class Provider:
    """What versions.tf requires: the registry's host, `namespace/type` there, and the constraint of its version."""

    host: str
    name: str
    constraint: str

    def takes(self, version: str) -> bool:
        """Whether that version will do; one that is no release (0.9.0-rc1) never does."""
        if not re.fullmatch(r"\d+(\.\d+)*", version):
            return False
        parts = [re.fullmatch(r"\s*(=|!=|>=|<=|>|<|~>)?\s*([\d.]+)\s*", each) for each in self.constraint.split(",")]
        return all(part is not None and holds(part[1] or "=", numbers(version), numbers(part[2])) for part in parts)

    def __str__(self) -> str:
        return f"{self.name} {self.constraint}"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def holds(operator: str, version: tuple[int, ...], bound: tuple[int, ...]) -> bool:
    """One of Terraform's operators; `~> 1.2.3` lets only the last of the numbers grow."""
    full = bound + (0,) * (len(version) - len(bound))
    return {
        "=": version == full,
        "!=": version != full,
        ">=": version >= full,
        "<=": version <= full,
        ">": version > full,
        "<": version < full,
        "~>": version >= full and version[: len(bound) - 1] == bound[:-1],
    }[operator]


# ------------------------------------------------------------------------------------------------ what a person chose
def choose(deployment: Deployment) -> None:
    """Keeps the choice of MIRROR for this deployment; without one an earlier choice stays.

    Raises:
        StackError: it is neither an address nor a word that is known.
    """
    chosen = deployment.mirror
    if not chosen:
        return
    if chosen == "none":
        deployment.terraform_rc.unlink(missing_ok=True)
        return
    address = VENDORS if chosen == "yandex" else chosen
    if not re.fullmatch(r"https://[^\s\"/]+(/[^\s\"]*)?", address):
        raise StackError(
            f"MIRROR={chosen}: an address that begins with https:// is expected (Terraform takes no other), or "
            f"`yandex` for {VENDORS}, or `none` for the public registry again."
        )
    deployment.folder.mkdir(parents=True, exist_ok=True)
    write_private(deployment.terraform_rc, configuration(address.rstrip("/") + "/"))


def configuration(mirror: str) -> str:
    """Terraform's own configuration file: all providers of the public registry from that mirror, others directly."""
    return (
        "# Made by MIRROR=…; MIRROR=none removes it.\n"
        "provider_installation {\n"
        f'  network_mirror {{\n    url     = "{mirror}"\n    include = ["*/*"]\n  }}\n'
        '  direct {\n    exclude = ["*/*"]\n  }\n'
        "}\n"
    )


def mirror_of(deployment: Deployment) -> str | None:
    """The address of the mirror that this deployment uses."""
    if not deployment.terraform_rc.exists():
        return None
    found = re.search(r'url += "(.+)"', deployment.terraform_rc.read_text())
    return found[1] if found else None


def environment(deployment: Deployment) -> dict[str, str]:
    """What Terraform is told besides; a configuration that the person has set by hand gives way to MIRROR=…."""
    return {"TF_CLI_CONFIG_FILE": str(deployment.terraform_rc.resolve())} if mirror_of(deployment) else {}


# ------------------------------------------------------------------------------------------------ whether it is there
def require_provider(deployment: Deployment, *modules: str) -> str:
    """Whether Terraform can get the provider for these modules (folders in `.cloud/terraform`); says from where.

    Raises:
        StackError: it cannot; names the vendor's mirror.
    """
    provider = required(deployment)
    what = str(provider)
    if mirror := mirror_of(deployment):
        offered = ask(mirror, f"{provider.host}/{provider.name}/index.json", deployment, provider).get("versions", {})
        refuse_missing(provider, list(offered), f"the mirror {mirror}")
        return f"{what} from the mirror {mirror}"
    if os.environ.get("TF_REATTACH_PROVIDERS"):
        return f"{what} runs already (TF_REATTACH_PROVIDERS)"
    kept = [
        deployment.folder / "terraform" / module / "providers" / provider.host / provider.name for module in modules
    ]
    if all(any(provider.takes(each.name) for each in path.glob("*")) for path in kept):
        return f"{what} is here already"
    if own := own_configuration(provider):
        return f"{what} from where {own} says"
    services = ask(f"https://{provider.host}", ".well-known/terraform.json", deployment, provider)
    base = urllib.parse.urljoin(f"https://{provider.host}", services.get("providers.v1", "/v1/providers/"))
    versions = ask(base, f"{provider.name}/versions", deployment, provider).get("versions", [])
    refuse_missing(provider, [each["version"] for each in versions], f"the registry {provider.host}")
    return f"{what} from the registry {provider.host}"


def required(deployment: Deployment) -> Provider:
    """What versions.tf requires; the registry's host as Terraform itself fills it in. No network."""
    text = (deployment.terraform / "versions.tf").read_text()
    found = re.search(r'yandex\s*=\s*\{\s*source\s*=\s*"(.+?)"\s*version\s*=\s*"(.+?)"', text)
    if not found:
        raise StackError(f"{deployment.terraform / 'versions.tf'} requires no provider `yandex`: `git status`.")
    if not shutil.which("terraform"):
        raise StackError(f"which registry has {found[1]} is said by `terraform`, which is not on PATH.")
    with tempfile.TemporaryDirectory() as folder:
        block = f'yandex = {{ source = "{found[1]}", version = "{found[2]}" }}'
        Path(folder, "main.tf").write_text(f"terraform {{\n  required_providers {{\n    {block}\n  }}\n}}\n")
        done = subprocess.run(["terraform", f"-chdir={folder}", "providers"], capture_output=True, text=True)
    told = re.search(r"provider\[([^/\]]+)/([^\]]+)\]", done.stdout)
    if not told:
        raise StackError(f"`terraform providers` names no provider:\n{done.stderr.strip()[-800:]}")
    return Provider(told[1], told[2], found[2])


def own_configuration(provider: Provider) -> str | None:
    """A configuration of Terraform by the person that says where providers come from, or a folder that has this one."""
    file = Path(os.environ.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc")
    if file.is_file() and "provider_installation" in file.read_text(errors="replace"):
        return str(file)
    plugins = Path.home() / ".terraform.d" / "plugins"
    return str(plugins) if (plugins / provider.host / provider.name).exists() else None


def ask(base: str, path: str, deployment: Deployment, provider: Provider) -> dict[str, Any]:
    """The JSON answer at that address, by the proxies and authorities that Terraform takes, too.

    Raises:
        StackError: there is none; says what to do.
    """
    address = f"{base.rstrip('/')}/{path}"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS, context=ssl.create_default_context()) as answer:
            return dict(json.load(answer))
    except (OSError, ValueError, urllib.error.URLError) as problem:
        raise StackError(
            f"Terraform gets the provider {provider} from {base}, which cannot be used from "
            f"here: {address}: {problem}. {advice(deployment)}"
        ) from None


def refuse_missing(provider: Provider, versions: list[str], where: str) -> None:
    if not any(map(provider.takes, versions)):
        newest = max(versions, key=lambda text: [int(part) for part in re.findall(r"\d+", text)], default="nothing")
        raise StackError(
            f"{where} has {provider.name} up to {newest}, and {provider.constraint} is needed. MIRROR=https://… names "
            "another mirror, MIRROR=none takes the public registry."
        )


def advice(deployment: Deployment) -> str:
    if mirror := mirror_of(deployment):
        return f"{mirror} is what MIRROR=… has chosen: choose another, or MIRROR=none for the public registry."
    return (
        f"The vendor has a mirror for those whom the registry does not answer, {VENDORS}: the same command with "
        f"MIRROR=yandex takes it, for this deployment for good ({deployment.terraform_rc}). MIRROR=https://… takes "
        "another; behind a proxy set HTTPS_PROXY."
    )
