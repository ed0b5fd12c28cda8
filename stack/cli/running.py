"""The commands that ask or change a running system, the demo or one in the cloud: `make status`, `make history`, …"""

import dataclasses
import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from stack.cloud import ssh
from stack.cloud import ui as cloud_ui
from stack.cloud.deployment import Deployment
from stack.cloud.inventory import hosts
from stack.cloud.system import CloudSystem
from stack.common.console import console
from stack.common.errors import StackError
from stack.common.options import FROM_0, FROM_1, Variable
from stack.lab import ui as lab_ui
from stack.lab.commands import is_outside
from stack.local import ui as local_ui
from stack.local.state import State
from stack.local.system import DemoSystem
from stack.running import arrivals, asking, logs, reports, screen, serving, upload
from stack.running.arrivals import ENDPOINT, LAKE
from stack.running.shape import UNKNOWN

DEMO, CLOUD = Path(".demo"), Path(".cloud")
VERSION = Variable("VERSION", "a version of the model", "3", lambda text: text.isdecimal() and not text.startswith("0"))
RUN = Variable(
    "RUN", "the name of a retrain", "fraud-retrain-20180702t064012-1a2b3c4d", re.compile(r"[a-z][-a-z0-9]*").fullmatch
)
WHY = Variable("WHY", "a reason, for the record", "it finds nothing", lambda text: len(text.strip()) >= 3)


@dataclass(frozen=True)
class Which:
    """Which system: what was said, or else the one of the two usual folders that is there."""

    state: Annotated[Path | None, "folder of a demo (default: .demo, if there is one)", Variable(example=".demo")] = (
        None
    )
    cloud: Annotated[Path | None, "folder of a deployment in the cloud (default: .cloud, if there is no demo)"] = None

    @property
    def of_this_host(self) -> Path | None:
        """The folder of a deployment that was named, if its cloud is this host and this process is not in its lab."""
        return self.cloud if self.cloud and is_outside(self.cloud) else None

    def system(self, hurry: bool = False) -> DemoSystem | CloudSystem:
        """Raises StackError if two are named, or two are there and none is named."""
        if self.state and self.cloud:
            raise StackError(f"STATE={self.state} is a demo and CLOUD={self.cloud} a deployment: say one of them.")
        if self.state:
            return DemoSystem(State(self.state), hurry)
        if self.cloud:
            return CloudSystem(Deployment(self.cloud), hurry)
        demo, cloud = State(DEMO.absolute()), Deployment(CLOUD.absolute())
        if demo.exists and cloud.exists:
            raise StackError(
                f"There are a demo in {DEMO} and a deployment in {CLOUD}: say which, STATE={DEMO} or CLOUD={CLOUD}."
            )
        return CloudSystem(cloud, hurry) if cloud.exists else DemoSystem(demo, hurry)


@dataclass(frozen=True)
class Status(Which):
    """say on one screen what serves, how it does, what runs, what it costs, and what needs a person"""

    json: Annotated[bool, "as JSON, of the shape that stack/running/shape.py documents"] = False

    def run(self) -> int:
        """0: all is well, 1: something needs a person, 2: something, or all of it, cannot be asked."""
        try:
            whole = asking.ask(self.system(hurry=True))
        except StackError as problem:
            print(problem, file=sys.stderr)
            return UNKNOWN
        if self.json:
            print(json.dumps(dataclasses.asdict(whole), indent=1))
        else:
            screen.show(whole, console)
        return whole.exit_status


@dataclass(frozen=True, kw_only=True)
class Report(Which):
    """open the report of a retrain in a browser, and say where it is"""

    of: Annotated[str | None, "name of the retrain (default: the newest)", RUN] = None

    def run(self) -> None:
        reports.show(self.system(), self.of or "")


@dataclass(frozen=True)
class History(Which):
    """say what served when, by whose decision and why"""

    def run(self) -> None:
        serving.show_history(self.system())


@dataclass(frozen=True, kw_only=True)
class Changing(Which):
    """Options of what changes who may serve."""

    why: Annotated[str, "the reason, for the record", WHY] = ""

    def trigger(self, dag: str, **conf: str | None) -> None:
        system = self.system()
        logs = system.state.airflow_logs if isinstance(system, DemoSystem) else None
        serving.trigger(system, dag, {**conf, "why": self.why}, logs)


@dataclass(frozen=True, kw_only=True)
class Rollback(Changing):
    """go back to a version that served before, and bar the one that is left"""

    to: Annotated[
        str | None, "version (default: what served before the last promotion)", replace(VERSION, name="TO")
    ] = None

    def run(self) -> None:
        self.trigger("rollback", to=self.to)


@dataclass(frozen=True, kw_only=True)
class Unbar(Changing):
    """let a version that was rolled back serve and compete again"""

    version: Annotated[str, "version of the model", VERSION] = ""

    def run(self) -> None:
        self.trigger("unbar", version=self.version)


@dataclass(frozen=True)
class Logs(Which):
    """print the end of a log: of a program, of a machine's service, of a task in Airflow"""

    of: Annotated[str | None, "which log (default: say which there are)", Variable(example="retrain/cluster.train")] = (
        None
    )

    def run(self) -> None:
        logs.show(self.system(), self.of)


@dataclass(frozen=True)
class Ui(Which):
    """say where the pages of Airflow and MLflow are and how to log in; open a way to them, where one is needed"""

    @property
    def of_this_host(self) -> None:
        """A browser is not in the lab, so neither is this command."""

    def run(self) -> None:
        if self.cloud and is_outside(self.cloud):
            return lab_ui.show(self.cloud)
        system = self.system()
        if isinstance(system, DemoSystem):
            local_ui.show(system, console)
        else:
            cloud_ui.show(system)


@dataclass(frozen=True)
class Ssh(Which):
    """log in to a machine of a deployment in the cloud"""

    host: Annotated[str, "machine", Variable(example="database")] = "mlflow"

    def run(self) -> None:
        system = self.system()
        if isinstance(system, DemoSystem):
            raise StackError(f"{system.where} is a demo: it has no machines, its programs run here (`make status`).")
        system.require()
        ssh.log_in(system.deployment, self.host, hosts(system.outputs))


@dataclass(frozen=True)
class Upload(Which):
    """put data files into the lake of a deployment: a person's own, or the next made week"""

    lake: Annotated[str | None, "folder or s3:// address of data files (default: made transactions)", LAKE] = None
    lake_endpoint: Annotated[str, "storage service of an s3:// lake", ENDPOINT] = arrivals.PUBLIC_STORAGE
    customers: Annotated[int, "cards of the made transactions", FROM_1] = 5000
    seed: Annotated[int, "of the made transactions", FROM_0] = 0

    def run(self) -> None:
        system = self.system()
        if isinstance(system, DemoSystem):
            raise StackError(f"{system.where} is a demo, which brings its own data: `make demo` once more, or WEEKS=2.")
        system.require()
        files = arrivals.source(self.lake, self.lake_endpoint, self.customers, self.seed)
        upload.upload(*system.lake(), files)


COMMANDS = (Status, Report, Logs, Ui, Ssh, Upload, History, Rollback, Unbar)
INTERRUPTED = "A run that was started in Airflow goes on; `make status` says how it is."
