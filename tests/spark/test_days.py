"""Which days a file covers and which are complete, without Spark."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fraud_retraining import days

START = date(2018, 4, 1)


def counted(*rows):
    return {START + timedelta(place): count for place, count in enumerate(rows) if count}


def last(before, *rows):
    return (days.period(START, START + timedelta(before), counted(*rows)).last - START).days


def test_a_file_ends_a_day_after_its_last_well_filled_one():
    assert last(100, 50, 60, 40, 0, 0, 0, 1) == 3
    assert last(2, 50, 60, 40) == 1  # a next file begins on the third day
    assert last(100, 50, 60, 40, 7) == 4
    assert last(100, 1, 1, 1) == 3  # few rows a day are many if all days have few
    assert last(100) == 99


@given(st.lists(st.integers(100, 200), min_size=2, max_size=40), st.integers(2, 400))
def test_one_row_moves_no_end(rows, ahead):
    alone = {**counted(*rows), START + timedelta(len(rows) - 1 + ahead): 1}
    assert days.period(START, date.max, alone) == days.period(START, date.max, counted(*rows))
    assert days.newest_complete(alone)[0] == days.newest_complete(counted(*rows))[0]


def test_the_newest_complete_day_and_why():
    day, why = days.newest_complete(counted(100, 110, 90, 100, 30, 1))
    assert (day, why) == (
        START + timedelta(3),
        "2018-04-04 is the newest complete day: 100 rows, the 3 days before it a median of 100;"
        " not complete: 2018-04-06 with 1 rows, 2018-04-05 with 30 rows",
    )
    assert days.newest_complete(counted(3))[0] == START
    assert days.newest_complete({}) == (None, "no day is prepared")
