"""Goals beside the figures that a section's table has."""

import pytest

from bench.goals import Goal, cell, goals

TABLE = """2026-11-26, 2 cores.

| files | rows | seconds | rows/s |
|---|--:|--:|--:|
| all 22 weeks at once | 1,466,282 | 14.2 | 103,209 |
| as many rows in 730 daily files | 1,466,282 | 28.4 | 51,604 |

| run | step | off |
|---|---|--:|
| the month | all steps | -30% |
"""


def test_cells_are_found_by_line_and_column() -> None:
    assert cell(TABLE, "weeks at once", "rows") == 1_466_282
    assert cell(TABLE, "all steps", "off") == -30
    assert cell(TABLE, "all steps", "seconds") is None, "that table has no such column"
    with pytest.raises(LookupError, match="2 lines match"):
        cell(TABLE, "files|at once", "seconds")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"row": "at once", "column": "seconds", "most": 25}, "| at most 25 | 14.20 | yes |"),
        ({"row": "at once", "column": "seconds", "most": 14}, "| at most 14 | 14.20 | no: [why](../why.md) |"),
        (
            {"row": "at once", "column": "rows/s", "least": 200_000},
            "| at least 200,000 | 103,209 | no: [why](../why.md) |",
        ),
        ({"row": "daily", "of": "at once", "column": "seconds", "most": 2}, "| at most 2 | 2.00 | yes |"),
        ({"row": "all steps", "column": "off", "most": 25}, "| at most 25 | -30.00 | no: [why](../why.md) |"),
        ({"row": "cold", "column": "seconds", "most": 25}, "| at most 25 | not measured | |"),
    ],
)
def test_a_goal_is_said_beside_what_was_reached(wanted: dict, said: str) -> None:
    assert Goal("work", "prepare", where="why.md", **wanted).line({"prepare": TABLE}) == f"| work {said}"


def test_a_goal_is_met_from_one_side() -> None:
    for goal in goals():
        assert (goal.most is None) != (goal.least is None), goal.work
