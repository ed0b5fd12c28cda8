"""The mark `verify`: what `make test` leaves out runs in CI's second part, by name, and with everything."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.support.marks import quick

QUICK, LONG = "tests/spark/test_a.py::test_quick", "tests/spark/test_a.py::test_long[2]"


def left(verify: str, monkeypatch: pytest.MonkeyPatch, *words: str, markexpr: str = "") -> list[str]:
    """Names of the tests that pytest would run."""
    items: list[Any] = [
        SimpleNamespace(nodeid=name, get_closest_marker=lambda _, marked=name == LONG: "verify" if marked else None)
        for name in (QUICK, LONG)
    ]
    dropped: list[Any] = []
    config: Any = SimpleNamespace(
        args=words,
        option=SimpleNamespace(markexpr=markexpr),
        hook=SimpleNamespace(pytest_deselected=lambda items: dropped.extend(items)),
    )
    monkeypatch.setattr(conftest, "VERIFY", verify)
    conftest.pytest_collection_modifyitems(config, items)
    assert len(items) + len(dropped) == 2
    return [each.nodeid for each in items]


@pytest.mark.parametrize(("verify", "names"), [("", [QUICK]), ("1", [QUICK, LONG]), ("only", [LONG])])
def test_verify_says_which_run(monkeypatch: pytest.MonkeyPatch, verify: str, names: list[str]) -> None:
    assert left(verify, monkeypatch, "tests/spark") == names


def test_what_is_named_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left("", monkeypatch, "tests/spark/test_a.py::test_long") == [QUICK, LONG]
    assert left("", monkeypatch, "tests/spark", markexpr="not slow") == [QUICK, LONG]


def test_parameters_that_are_not_quick_are_marked() -> None:
    one, two, three = quick(["a", "b", ("c", 1)], "b")
    assert two == "b"
    assert [(each.values, [mark.name for mark in each.marks]) for each in (one, three)] == [
        (("a",), ["verify"]),
        (("c", 1), ["verify"]),
    ]
