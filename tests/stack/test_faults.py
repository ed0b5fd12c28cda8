"""Three cases of the drill on the stack that runs: a killed worker, a killed endpoint, a job that hangs."""

from collections.abc import Callable, Iterator

import pytest

from stack.local import supervisor
from tests.drill.cases import CASES, Case
from tests.drill.one_case import prove
from tests.drill.stack import DrillStack, configure_airflow
from tests.stack.demo import Demo

REDUCED = [case for case in CASES if case.reduced]


@pytest.fixture(scope="module")
def drill(stack: Demo, cycled: None) -> Iterator[DrillStack]:
    drill = DrillStack(stack.state)
    configure_airflow(stack.state)
    supervisor.rpc(stack.state).stopProcess("airflow-scheduler", True)  # `prepare` starts it, with what it now reads
    drill.prepare()
    yield drill
    drill.end_orphans()
    drill.webhook.close()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in REDUCED])
def test_case(drill: DrillStack, case: Case, record_property: Callable[[str, object], None]) -> None:
    prove(drill, case, lambda **row: record_property("row", row))
