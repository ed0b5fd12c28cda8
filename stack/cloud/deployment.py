"""What one deployment in the cloud keeps on this machine, and which of its steps are done."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stack.common.console import say, step
from stack.common.envs import ROOT
from stack.common.files import KeptFolder


@dataclass(frozen=True)
class Deployment(KeptFolder):
    """`folder` remembers; `project` holds `terraform/`, `site.yml` and `inventory/`.

    `force` does done steps again, and says what it would else refuse for want of quotas; `mirror` is where Terraform is
    to get its provider from (registry.py).
    """

    project: Path = ROOT
    force: bool = False
    mirror: str = ""

    @property
    def exists(self) -> bool:
        """Whether something was made from here; any other folder is not ours to remove."""
        return any((self.folder / name).exists() for name in ("journal.json", "remote-state.json", "state.tfstate"))

    @property
    def is_local(self) -> bool:
        """Whether this host is its cloud (stack/lab)."""
        return (self.folder / "site").is_dir()

    @property
    def argument(self) -> str:
        """What a person types after `make status`, so that this one is meant; nothing for the usual one."""
        usual = {ROOT / ".cloud": "", ROOT / ".local": " TARGET=local"}
        return usual.get(self.folder.absolute(), f" CLOUD={self.folder}")

    @property
    def terraform(self) -> Path:
        return self.project / "terraform"

    @property
    def settings(self) -> Path:
        """The file that a person fills in."""
        return self.terraform / "terraform.tfvars"

    @property
    def terraform_rc(self) -> Path:
        """Terraform's own configuration, if a mirror was asked for."""
        return self.folder / "terraform.rc"

    @property
    def inventory(self) -> Path:
        return self.project / "inventory" / "cloud.yml"

    @property
    def ssh_config(self) -> Path:
        return self.folder / "ssh_config"

    def run_step(self, name: str, inputs: object, action: Callable[[], None]) -> None:
        """Runs a step, unless it was done with the same inputs; what is interrupted is not done."""
        journal, digest = self.load("journal", {}), digest_of(inputs)
        done = journal.get(name)
        if done and done["inputs"] == digest and not self.force:
            say(f"[bold]{name}[/]: skipped, done on {done['at']} UTC with the same inputs (FORCE=1 does it again)")
            return
        with step(name):
            action()
        at = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        self.save("journal", self.load("journal", {}) | {name: {"inputs": digest, "at": at}})

    def forget(self, *names: str) -> None:
        """Lets steps be done again."""
        self.save("journal", {step: done for step, done in self.load("journal", {}).items() if step not in names})


def digest_of(inputs: object) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def contents(*paths: Path) -> dict[str, str]:
    """File -> digest, of these files and of all files in these folders: what a step's outcome depends on."""
    files = sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
