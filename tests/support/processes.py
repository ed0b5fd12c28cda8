"""Commands as a person types them, from tests that make itself has started."""

import os

INHERITED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "VERIFY")


def as_typed() -> dict[str, str]:
    """This process's environment without what a make above it has been told."""
    return {name: value for name, value in os.environ.items() if name not in INHERITED}
