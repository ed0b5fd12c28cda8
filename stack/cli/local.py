"""The commands of one machine: `make demo` and what belongs to it."""

from dataclasses import dataclass

from stack.local import demo, preflight
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
class Doctor(ImageOptions):
    """check this machine"""

    def run(self) -> bool:
        return preflight.doctor(self.state, self.image)


COMMANDS = (Demo, Stop, Clean, Doctor)
INTERRUPTED = "What was started runs on; the same command resumes, `make demo-stop` ends it."
