"""Terraform as a person would run it: plans are shown, state is remote, an interrupted run is taken up again."""

import codecs
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dags.retraining.patience import FRESH, S3_NOT_YET
from stack.cloud import programs, registry
from stack.cloud.deployment import Deployment
from stack.common.errors import StackError

NOT_YET = [code for code in S3_NOT_YET if not code.isdigit()]  # a registry, too, answers 403, and for good
QUIET = {
    "TF_IN_AUTOMATION": "1",
    "TF_INPUT": "0",
    "CHECKPOINT_DISABLE": "1",
    "YC_TERRAFORM_INITIALIZATION_SILENCE": "true",
}


class Terraform:
    """One root module. What Terraform keeps beside it (providers, plans) is in the folder of the deployment.

    Args:
        module: the folder below `terraform/`, `.` for the main module.
        environment: the whole environment of the program, credentials among it.
        state: the file of a local state; without it the module's back-end says where the state is.
    """

    def __init__(
        self, deployment: Deployment, module: str, environment: dict[str, str], state: Path | None = None
    ) -> None:
        self.deployment, self.path = deployment, (deployment.terraform / module).resolve()
        data = deployment.folder / "terraform" / (self.path.name if module != "." else "main")
        data.mkdir(parents=True, exist_ok=True)
        self.plan_file = data / "plan"
        self.environment = environment | QUIET | registry.environment(deployment) | {"TF_DATA_DIR": str(data)}
        # Of the last plan, as Terraform gives them: what happens to each resource, outputs as far as they are known.
        self.changes: list[dict[str, Any]] = []
        self.planned_outputs: dict[str, Any] = {}
        self.state = [str(state.resolve())] if state else []
        self.options = [f"-state={path}" for path in self.state]

    def run(self, *arguments: str, expected: tuple[int, ...] = (0,)) -> int:
        """Runs a command that a person watches; returns its status.

        It runs in a session of its own and writes to a file that is shown here: whatever ends this program, Terraform
        comes to its end and notes what it has made. Ctrl-C is passed on, then it stops in order.

        Raises:
            StackError: another status than the expected ones; the message of Terraform stands above.
        """
        log, name = self.log, arguments[0]
        plain = [] if sys.stdout.isatty() else ["-no-color"]  # its own output is a file
        with open(log, "wb") as out:
            process = subprocess.Popen(
                self.command(name, *plain, *arguments[1:]),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        started = programs.remember(self.deployment, "Terraform", process.pid)
        if name in ("plan", "apply", "destroy", "import"):
            self.deployment.save("terraform-lock", {"since": started})
        try:
            show_while(log, lambda: process.poll() is None)
        except BaseException:
            process.send_signal(signal.SIGINT)
            show_while(log, lambda: process.poll() is None)
            raise
        if process.returncode not in expected:
            raise StackError(
                f"`terraform {name}` in {self.path} ended with status {process.returncode}; its message is "
                "above. What was made is kept in the state: mend the cause and run the same command again; it goes on."
            )
        return process.returncode

    def ask(self, *arguments: str) -> Any:
        """The JSON answer of a command."""
        done = subprocess.run(self.command(*arguments), env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise StackError(f"`terraform {arguments[0]}` in {self.path} failed:\n{done.stderr.strip()[-1500:]}")
        return json.loads(done.stdout)

    def command(self, *arguments: str) -> list[str]:
        return ["terraform", f"-chdir={self.path}", *arguments]

    @property
    def log(self) -> Path:
        """What the last command that a person watched has said."""
        return self.plan_file.with_name("log")

    def init(self, *options: str) -> None:
        """Raises StackError if it cannot; the bucket for the state, and its key, may have been made a second ago."""
        try:
            FRESH.retrying(lambda _: self.has_said(NOT_YET))(self.run, "init", "-reconfigure", *options)
        except StackError as problem:
            if self.has_said(registry.SIGNS):
                raise StackError(f"{problem}\n{registry.advice(self.deployment)}") from None
            raise

    def has_said(self, signs: Iterable[str]) -> bool:
        """Whether the last command that a person watched has said one of these."""
        text = self.log.read_text(errors="replace")
        return any(sign in text for sign in signs)

    def plan(self, *options: str) -> dict[str, str]:
        """Shows what would be done and keeps it for `apply`; returns each resource's address and what happens to it.

        An empty answer means that there is nothing to do at all; a change of mere outputs counts as `outputs`.
        """
        arguments = (f"-out={self.plan_file}", "-detailed-exitcode", *self.options, *options)
        self.changes, self.planned_outputs = [], {}
        if self.run("plan", *arguments, expected=(0, 2)) == 0:
            return {}
        self.plan_file.chmod(0o600)
        plan = self.ask("show", "-json", str(self.plan_file))
        self.changes = [each for each in plan.get("resource_changes", ()) if each["mode"] == "managed"]
        self.planned_outputs = {name: each.get("after") for name, each in plan.get("output_changes", {}).items()}
        actions = {each["address"]: each["change"]["actions"] for each in self.changes}
        names = {address: "replace" if len(each) > 1 else each[0] for address, each in actions.items()}
        return {address: name for address, name in names.items() if name != "no-op"} or {"outputs": "change"}

    def apply(self) -> None:
        """Does what the last plan says."""
        try:
            self.run("apply", *self.options, str(self.plan_file))
        finally:
            self.plan_file.unlink(missing_ok=True)

    def adopt(self, address: str, identity: str) -> None:
        """Takes something that the cloud has into the state."""
        self.run("import", *self.options, address, identity)

    def outputs(self) -> dict[str, Any]:
        """Name -> value of every output that is no secret."""
        found = self.ask("output", "-json", *self.options)
        return {name: output["value"] for name, output in found.items() if not output["sensitive"]}

    def resources(self) -> list[dict[str, Any]]:
        """Every resource in the state: `address`, `type`, `values`."""
        found: list[dict[str, Any]] = []
        modules = [self.ask("show", "-json", *self.state).get("values", {}).get("root_module", {})]
        while modules:
            module = modules.pop()
            found += [each for each in module.get("resources", ()) if each["mode"] == "managed"]
            modules += module.get("child_modules", ())
        return found

    def destroy(self) -> None:
        self.run("destroy", "-auto-approve", *self.options)


def show_while(file: Path, goes_on: Callable[[], bool]) -> None:
    """Shows what is written to the file, from its beginning, until `goes_on` says no and all is shown."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may be half written
    with open(file, "rb") as written:
        while (more := goes_on()) or written.peek(1):
            sys.stdout.write(decoder.decode(written.read()))
            sys.stdout.flush()
            if more:
                time.sleep(0.1)


def count_actions(changes: dict[str, str]) -> str:
    """A plan as a person reads it: how many resources to create, to delete and so on."""
    return ", ".join(f"{number} to {action}" for action, number in Counter(changes.values()).items())
