"""Options that several commands of one machine have."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal


@dataclass(frozen=True)
class StateOptions:
    state: Annotated[Path, "folder of all state (default %(default)s)"] = Path(".demo")


@dataclass(frozen=True)
class ImageOptions(StateOptions):
    image: Annotated[Literal["2.1", "2.2"], "Dataproc image to stand for"] = "2.2"
