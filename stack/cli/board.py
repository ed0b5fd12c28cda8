"""The command of the board: `make board`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from stack.board import changes, tasks
from stack.board.github import GitHub
from stack.board.there import look
from stack.common.console import say, say_indented
from stack.common.options import Variable


@dataclass(frozen=True)
class Board:
    """bring a project of GitHub in line with docs/board.yml: say what would change, and with --apply do it"""

    file: Annotated[Path, "the file that describes it", Variable("BOARD", "a file", "docs/board.yml")] = Path(
        "docs/board.yml"
    )
    apply: Annotated[bool, "do it"] = False

    @property
    def state(self) -> Path:
        return self.file

    def run(self) -> None:
        board, github = tasks.read(self.file), GitHub.of_environment()
        there = look(github, board)
        found = changes.plan(github, board, there)
        if not found:
            say(f"{there.url}: everything is as {self.file} says")
        elif self.apply:
            changes.bring(found, say)
            say(f"{there.url}: {len(found)} changes done")
        else:
            for change in found:
                say_indented(change.what)
            say(f"{len(found)} changes; nothing was done. `make board APPLY=1` does them")


COMMANDS = (Board,)
INTERRUPTED = "What is done stays done; the same command goes on from there."
