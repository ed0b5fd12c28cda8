"""Waiting for a fact instead of for a time."""

import contextlib
import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 600, pause: float = 0.05) -> Any:
    """The condition's value as soon as it is true. A server may be away meanwhile.

    Raises:
        AssertionError: it was not true within so many seconds; they only end what will never come.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):  # what requests raises, too
            if value := condition():
                return value
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)


def seconds_until(condition: Callable[[], Any], what: str, seconds: float) -> float:
    """Waits for it and returns the seconds that it took."""
    begun = time.monotonic()
    wait_until(condition, what, seconds)
    return time.monotonic() - begun
