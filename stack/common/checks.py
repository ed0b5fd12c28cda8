"""Checks before anything begins: each says what it found, or has one clear sentence for when it does not hold."""

from collections.abc import Callable

from stack.common import envs
from stack.common.errors import StackError

# Name of each check -> a function that returns what was found, or raises StackError.
Checks = dict[str, Callable[[], str]]


def find_python(name: str) -> str:
    """The interpreter for an environment, or the one that uv will fetch."""
    return envs.find_python(name) or f"none here, uv will fetch {envs.environment(name).pythons[0]}"


def run_checks(checks: Checks) -> bool:
    """Prints every check with its outcome; True if all hold."""
    fine = True
    for name, check in checks.items():
        try:
            print(f"ok    {name}: {check()}")
        except StackError as problem:
            fine = False
            print(f"FAIL  {name}: {problem}")
    return fine
