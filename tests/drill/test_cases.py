"""Every case of the table, each a run of the live scheduler."""

from collections.abc import Callable

import pytest

from tests.drill.cases import CASES, Case
from tests.drill.one_case import prove
from tests.drill.stack import DrillStack


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_case(drill: DrillStack, case: Case, record: Callable[..., None]) -> None:
    prove(drill, case, record)
