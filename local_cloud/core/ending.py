"""How a program of ours waits until it is asked to end."""

import os
import signal
from collections.abc import Callable, Iterable


def asked_to_end(by: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT)) -> Callable[[], None]:
    """Catch these signals from now on; what is returned waits for the first, also for one that came meanwhile.

    A `threading.Event` that a handler sets may block for ever: the handler runs in the wait and wants its lock, or the
    signal comes just before the thread sleeps and nobody runs the handler. What C writes to a pipe waits to be read.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in by:
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        os.read(reading, 1)

    return wait
