"""Which days a raw file covers, and which days of a lake are complete. One row decides neither."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Dict, List, Mapping, Optional, Tuple

LATE_DAYS = 31  # before its file's first day that a row may be late
THIN = 0.1  # of a usual day's rows; a day with fewer does not show that the file covers it
COMPLETE = 0.5  # of the median of the days before; a day with fewer is not complete
BUDGET = 100  # cards a day that people look at, as in the handbook's Card Precision@100
NEIGHBOURS = 7  # days before that say how many rows a day has


@dataclass(frozen=True)
class Period:
    """The days that rows of a file may have, closed."""

    first: date
    last: date


def period(first: date, before: date, rows: Mapping[date, int], late_days: int = LATE_DAYS) -> Period:
    """Days of a file that begins on ``first``: up to the day after its last well filled one, and before ``before``.

    Args:
        before: the first day of the next file, or the day after the run's.
        rows: good rows by day.
        late_days: rows may be that much older than ``first``.
    """
    widest = Period(first - timedelta(late_days), before - timedelta(1))
    within = {day: count for day, count in rows.items() if widest.first <= day <= widest.last}
    filled = [day for day, count in within.items() if count >= least(within)]
    return Period(widest.first, min(widest.last, max(filled) + timedelta(1)) if filled else widest.last)


def least(rows: Mapping[date, int]) -> float:
    """Rows that make a day a well filled one, by the size of the day that the middle row of all lies in."""
    usual, passed = 0, 0
    for usual in sorted(rows.values(), reverse=True):
        passed += usual
        if 2 * passed >= sum(rows.values()):
            break
    return min(usual, max(2.0, THIN * usual))


def newest_complete(rows: Mapping[date, int]) -> Tuple[Optional[date], str]:
    """The newest day that has about as many rows as the days before it, and why, in words; None without any day."""
    fragments: List[str] = []
    ordered: Dict[date, int] = dict(sorted(rows.items()))
    days = list(ordered)
    for place in range(len(days) - 1, -1, -1):
        count = ordered[days[place]]
        before = [ordered[day] for day in days[max(0, place - NEIGHBOURS) : place]]
        if count >= COMPLETE * median(before or [0]):
            usual = f", the {len(before)} days before it a median of {median(before):.0f}" if before else ""
            waits = f"; not complete: {', '.join(fragments)}" if fragments else ""
            return days[place], f"{days[place]} is the newest complete day: {count} rows{usual}{waits}"
        fragments.append(f"{days[place]} with {count} rows")
    return None, "no day is prepared"
