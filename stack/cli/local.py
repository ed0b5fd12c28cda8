"""The commands of one machine: `make demo` and what belongs to it."""

<<<<<<< HEAD
from dataclasses import dataclass

from stack.local import demo, preflight
=======
import re
from dataclasses import dataclass, replace
from typing import Annotated

from stack.common.options import Variable
from stack.local import demo, preflight, reports, serving
>>>>>>> h-report
from stack.local.options import ImageOptions, StateOptions
from stack.local.state import State


@dataclass(frozen=True)
class Demo(demo.Options):
    """run the whole system until WEEKS cycles are done"""

    def run(self) -> None:
        demo.demo(self)


@dataclass(frozen=True)
class Stop(StateOptions):
    """stop everything; state stays"""

    def run(self) -> None:
        demo.stop(State(self.state))


@dataclass(frozen=True)
class Clean(StateOptions):
    """stop everything and remove its state"""

    def run(self) -> None:
        demo.clean(State(self.state))


@dataclass(frozen=True)
<<<<<<< HEAD
=======
class Status(StateOptions):
    """say what runs, which clusters are alive and what they cost"""

    def run(self) -> None:
        demo.status(State(self.state))


VERSION = Variable("VERSION", "a version of the model", "3", lambda text: text.isdecimal() and not text.startswith("0"))
WHY = Variable("WHY", "a reason, for the record", "it finds nothing", lambda text: len(text.strip()) >= 3)


@dataclass(frozen=True)
class History(StateOptions):
    """say what served when, by whose decision and why"""

    def run(self) -> None:
        serving.show_history(State(self.state))


RUN = Variable(
    "RUN", "the name of a retrain", "fraud-retrain-20180702t064012-1a2b3c4d", re.compile(r"[a-z][-a-z0-9]*").fullmatch
)


@dataclass(frozen=True, kw_only=True)
class Report(StateOptions):
    """open the report of a retrain in a browser, and say where it is"""

    of: Annotated[str, "name of the retrain (default: the newest)", RUN] = ""

    def run(self) -> None:
        reports.show(State(self.state), self.of)


@dataclass(frozen=True, kw_only=True)
class Rollback(StateOptions):
    """go back to a version that served before, and bar the one that is left"""

    to: Annotated[
        str | None, "version (default: what served before the last promotion)", replace(VERSION, name="TO")
    ] = None
    why: Annotated[str, "the reason, for the record", WHY] = ""

    def run(self) -> None:
        serving.trigger(State(self.state), "rollback", {"to": self.to, "why": self.why})


@dataclass(frozen=True, kw_only=True)
class Unbar(StateOptions):
    """let a version that was rolled back serve and compete again"""

    version: Annotated[str, "version of the model", VERSION] = ""
    why: Annotated[str, "the reason, for the record", WHY] = ""

    def run(self) -> None:
        serving.trigger(State(self.state), "unbar", {"version": self.version, "why": self.why})


@dataclass(frozen=True)
>>>>>>> h-report
class Doctor(ImageOptions):
    """check this machine"""

    def run(self) -> bool:
        return preflight.doctor(self.state, self.image)


<<<<<<< HEAD
COMMANDS = (Demo, Stop, Clean, Doctor)
=======
COMMANDS = (Demo, Stop, Clean, Status, Report, History, Rollback, Unbar, Doctor)
>>>>>>> h-report
INTERRUPTED = "What was started runs on; the same command resumes, `make demo-stop` ends it."
