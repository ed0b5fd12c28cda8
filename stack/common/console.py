"""How the operator's tool speaks: a line with the time for every step, wide enough for addresses; and how it asks."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console

from stack.common.errors import StackError

console = Console(highlight=False, soft_wrap=True)
if not console.is_terminal:
    console = Console(highlight=False, soft_wrap=True, width=120)


def say(text: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/]  {text}")


def say_indented(text: str) -> None:
    """For what is part of a step."""
    say(f"  {text}")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Says when a step begins and how long it took."""
    begun = time.monotonic()
    say(f"[bold]{name}[/]")
    yield
    say(f"  {name}: {time.monotonic() - begun:.0f} s")


def confirm(question: str, yes: bool) -> None:
    """Returns if the answer is yes; `yes` answers without asking.

    Raises:
        StackError: it is not, or nobody is there to answer.
    """
    if yes:
        return
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise StackError(
            f"The answer was {answer!r}: this was not done. Run it again, or with YES=1 to skip the question."
        )
