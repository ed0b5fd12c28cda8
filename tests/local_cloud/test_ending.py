"""A signal ends a program of ours, whenever it comes."""

import subprocess
import sys

from tests.support import ROOT

# A signal some microseconds after the waiter has begun, or before: an Event hangs within the first hundreds.
PROGRAM = """
import random, signal
from local_cloud.core.ending import asked_to_end
wait = asked_to_end([signal.SIGALRM])
for _ in range(3000):
    signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, 6e-5))
    wait()
"""


def test_a_signal_is_never_missed() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, check=True, timeout=120)
