"""Commands of Terraform, and changed copies of what they read."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stack.common.envs import ROOT
from stack.provider import schema

MODULE = ROOT / "terraform"

# TF_REATTACH_PROVIDERS while the schema is served.
_served: dict[str, str] = {}


def environment() -> dict[str, str]:
    """This process's, without what would change a plan or ask the network."""
    found = os.environ | {"CHECKPOINT_DISABLE": "1"}
    if not Path(found.get("TF_CLI_CONFIG_FILE", "")).is_file():
        found.pop("TF_CLI_CONFIG_FILE", None)  # else Terraform warns at every command
    # A command lives for a second and needs a few hundred MiB: collecting garbage would take a third of its time.
    found |= {"GOGC": "400"} | _served
    return {name: value for name, value in found.items() if not name.startswith("TF_VAR_")}


@contextlib.contextmanager
def provider() -> Iterator[None]:
    """Serves the provider's schema for every command inside the block; nothing is installed."""
    server, _served["TF_REATTACH_PROVIDERS"] = schema.serve(schema.calls_of(schema.read()))
    try:
        yield
    finally:
        _served.clear()
        server.stop(grace=None).wait()


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["terraform", *arguments], cwd=folder, env=environment(), capture_output=True, text=True, timeout=300
    )


def printed(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout + done.stderr)[-6000:]


def only_runs(tests: str, wanted: str) -> str:
    """The text of a test file, of whose runs those are left in which the pattern `wanted` is found."""
    head, *runs = re.split(r'^(?=run ")', tests, flags=re.M)
    return head + "".join(run for run in runs if re.search(wanted, run))


def change(path: Path, old: str, new: str) -> None:
    """Changes the one place of the file that reads `old`."""
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} has {text.count(old)} of {old!r}, 1 is expected: mend this test"
    path.write_text(text.replace(old, new))


@contextlib.contextmanager
def copy_of(folder: Path) -> Iterator[Path]:
    """A copy of an initialised module and of the lock beside it, for as long as the block runs."""
    with tempfile.TemporaryDirectory() as parent:
        # What `init` installed is linked: the real provider is some 100 MB.
        shutil.copytree(folder, f"{parent}/terraform", ignore=shutil.ignore_patterns(".terraform"))
        if (folder / ".terraform").exists():
            Path(parent, "terraform/.terraform").symlink_to(folder / ".terraform")
        if (folder.parent / "requirements").exists():
            Path(parent, "requirements").symlink_to(folder.parent / "requirements")
        yield Path(parent, "terraform")
