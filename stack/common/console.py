"""How the operator's tool speaks: a line with the time for every step, wide enough for addresses."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)
if not console.is_terminal:
    console = Console(highlight=False, soft_wrap=True, width=120)


def say(text: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/]  {text}")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Says when a step begins and how long it took."""
    begun = time.monotonic()
    say(f"[bold]{name}[/]")
    yield
    say(f"  {name}: {time.monotonic() - begun:.0f} s")
