"""Every case of the table, each a run of the live scheduler."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.drill.cases import CASES, Case
from tests.drill.one_case import prove
from tests.drill.stack import DrillStack


def parameter(case: Case) -> Any:
    return pytest.param(case, id=case.name, marks=[pytest.mark.reduced] if case.reduced else [])


@pytest.mark.parametrize("case", [parameter(case) for case in CASES])
def test_case(drill: DrillStack, case: Case, record: Callable[..., None]) -> None:
    prove(drill, case, record)
