"""The commands of the cloud: `make bootstrap`, `rotate`, `pause`, `resume`, `destroy` and `cost`."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from dags.retraining.settings import require_cron
from stack.cloud import bootstrap, cost, destroy, lost, pause, rotate
from stack.cloud.deployment import Deployment
from stack.common.envs import ROOT
from stack.common.options import Variable
from stack.lab import commands
from stack.lab.site import INSIDE, Site

SCHEDULE = Variable("", "a cron expression in UTC", "0 6 * * 1", require_cron)
IMPORT = Variable("IMPORT", "ADDRESS=ID", lost.EXAMPLE, lambda text: lost.parse_imports(text) or True)


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

    @property
    def of_this_host(self) -> Path | None:
        if (self.target or Site(self.state).exists) and INSIDE not in os.environ:
            commands.make(self.state)
        return super().of_this_host

    def run(self) -> None:
        wishes = bootstrap.Wishes(self.schedule, self.yes, self.only, self.adopt)
        bootstrap.bootstrap(self.deployment(self.force), wishes)


@dataclass(frozen=True)
class Destroy(CloudOptions):
    """remove all of it, and say what is left"""

    yes: Annotated[bool, "ask nothing"] = False

    def run(self) -> None:
        destroy.destroy(self.deployment(), self.yes)

    def afterwards(self) -> None:
        """When all is gone from a cloud that is this host, what stood for the cloud goes, too."""
        commands.remove(self.state)


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


COMMANDS = (Bootstrap, Rotate, Pause, Resume, Destroy, Cost)
INTERRUPTED = "The same command goes on from here."
