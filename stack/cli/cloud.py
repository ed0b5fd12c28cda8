"""The commands of the cloud: `make bootstrap`, `rotate`, `pause`, `backup`, `destroy`, `cost` and their like."""

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from dags.retraining.settings import require_cron
from stack.cloud import bootstrap, cost, destroy, lost, maintenance, pause, rotate
from stack.cloud.deployment import Deployment
from stack.common.console import say
from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.common.options import Variable
from stack.lab import commands
from stack.lab.site import INSIDE, Site

SCHEDULE = Variable("", "a cron expression in UTC", "0 6 * * 1", require_cron)
IMPORT = Variable("IMPORT", "ADDRESS=ID", lost.EXAMPLE, lambda text: lost.parse_imports(text) or True)

BACKUP = Variable("", "latest, or the name of a backup", "latest", maintenance.BACKUP.fullmatch)
TIME = Variable("", "last, or a moment with its zone", "2026-11-23 14:05:00+00", maintenance.MOMENT.fullmatch)


@dataclass(frozen=True)
class CloudOptions:
    state: Annotated[Path, "folder of its state (default %(default)s)", Variable("CLOUD", example=".cloud")] = Path(
        ".cloud"
    )
    project: Annotated[Path, "folder with terraform/, site.yml, inventory/"] = ROOT
    mirror: Annotated[str, "of Terraform's registry: its https address, `yandex`, or `none`; it is kept"] = ""

    def deployment(self, force: bool = False) -> Deployment:
        here = Site(self.state)
        project = here.project if here.exists else self.project
        return Deployment(self.state, project.resolve(), force, self.mirror)

    @property
    def of_this_host(self) -> Path | None:
        """The folder of the deployment, if its cloud is this host and this process is not in its lab."""
        return self.state if commands.is_outside(self.state) else None


@dataclass(frozen=True)
class Bootstrap(CloudOptions):
    """make the whole system in the cloud, or bring it up to date"""

    yes: Annotated[bool, "ask nothing"] = False
    schedule: Annotated[str | None, "cron expression of the DAG, UTC; it is kept", SCHEDULE] = None
    force: Annotated[bool, "do the steps that are done already, too; go on though quotas are short"] = False
    only: Annotated[Literal["", "network"], "make the network alone"] = ""
    adopt: Annotated[str, "what the cloud has and the state is to know: ADDRESS=ID, apart by spaces", IMPORT] = ""
    target: Annotated[Literal["", "local"], "`local`: this host stands for the cloud"] = ""
    engine: Annotated[
        Literal["local", "yarn"] | None,
        "with TARGET=local, what runs jobs: one process, or a YARN of its own for each cluster; it is kept",
    ] = None

    @property
    def of_this_host(self) -> Path | None:
        if INSIDE not in os.environ:
            if self.target or Site(self.state).exists:
                commands.make(self.state, self.engine)
            elif self.engine:
                raise StackError(f"ENGINE={self.engine} is of TARGET=local: in the cloud Data Proc runs the jobs.")
        return super().of_this_host

    def run(self) -> None:
        wishes = bootstrap.Wishes(self.schedule, self.yes, self.only, self.adopt)
        bootstrap.bootstrap(self.deployment(self.force), wishes)


@dataclass(frozen=True)
class Destroy(CloudOptions):
    """remove all of it, and say what is left"""

    yes: Annotated[bool, "ask nothing"] = False

    force: Annotated[bool, "of a deployment on this host: do not ask its cloud first"] = False

    @property
    def of_this_host(self) -> None:
        """When its lab is removed this command must not be in it."""

    def run(self) -> int:
        here = commands.is_outside(self.state)
        if self.force and not here:
            raise StackError(f"FORCE=1 removes a deployment on this host, and {self.state} is none. Leave it out.")
        if not here:
            destroy.destroy(self.deployment(), self.yes)
            return 0
        if self.deployment().exists and not self.force and (status := commands.run_inside(self.state, sys.argv[1:])):
            say("Its lab stands. `make destroy TARGET=local FORCE=1` removes it without asking its cloud.")
            return status
        commands.remove(self.state)
        return 0


@dataclass(frozen=True)
class Rotate(CloudOptions):
    """make new passwords and certificates, and hand them to whoever needs them"""

    yes: Annotated[bool, "ask nothing"] = False
    force: Annotated[bool, "also while a run is under way"] = False

    def run(self) -> None:
        rotate.rotate(self.deployment(self.force), self.yes)


@dataclass(frozen=True)
class Pause(CloudOptions):
    """stop what is paid for by the hour; everything is kept"""

    yes: Annotated[bool, "ask nothing"] = False

    def run(self) -> None:
        pause.pause(self.deployment(), self.yes)


@dataclass(frozen=True)
class Resume(CloudOptions):
    """start it again, and wait until it answers"""

    def run(self) -> None:
        pause.resume(self.deployment())


@dataclass(frozen=True)
class Backup(CloudOptions):
    """make a backup of MLflow's databases now"""

    check: Annotated[bool, "make none: list those there are"] = False

    def run(self) -> None:
        maintenance.maintain(self.deployment(), "backup", self.check)


@dataclass(frozen=True)
class Restore(CloudOptions):
    """put MLflow's databases back as they were"""

    backup: Annotated[str | None, "at this backup", BACKUP] = None
    time: Annotated[str | None, "at this moment, which the archive of an own PostgreSQL has", TIME] = None
    check: Annotated[bool, "say what would change, and change nothing"] = False
    yes: Annotated[bool, "ask nothing"] = False

    def run(self) -> None:
        maintenance.restore(self.deployment(), self.backup or "", self.time or "", self.check, self.yes)


@dataclass(frozen=True)
class Upgrade(CloudOptions):
    """install the release of MLflow that requirements/mlflow.txt has; the former one comes back if it does not serve"""

    check: Annotated[bool, "say which packages would change, and change nothing"] = False

    def run(self) -> None:
        maintenance.maintain(self.deployment(), "upgrade", self.check)


@dataclass(frozen=True)
class Cost(CloudOptions):
    """say what it costs per month and per retrain"""

    minutes: Annotated[
        float,
        "a retrain takes in the cloud",
        Variable("", "a number above 0", "30", lambda value: 0 < value < math.inf),
    ] = cost.MINUTES
    runs: Annotated[
        float, "retrains in a month", Variable("", "a number from 0 on", "4.3", lambda value: 0 <= value < math.inf)
    ] = cost.RUNS

    def run(self) -> None:
        cost.show(self.deployment(), self.minutes, self.runs)


COMMANDS = (Bootstrap, Rotate, Pause, Resume, Backup, Restore, Upgrade, Destroy, Cost)
INTERRUPTED = "The same command goes on from here."
