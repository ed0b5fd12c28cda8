"""Marks of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def quick(values: Sequence[Any], *chosen: Any) -> list[Any]:
    """The parameters `values`, of which `make test` has only the chosen ones; a tuple is several parameters."""
    return [
        each
        if each in chosen
        else pytest.param(*(each if isinstance(each, tuple) else (each,)), marks=pytest.mark.verify)
        for each in values
    ]
