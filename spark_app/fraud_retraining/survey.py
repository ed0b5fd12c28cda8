"""What the rows of a raw file say together, before any of them is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Dict, Iterable, List, Optional, Sequence

from pyspark.sql import DataFrame, Row

from fraud_retraining import days, quality
from fraud_retraining.intake import Raw

ANY_DAY = days.Period(date.min, date.max)


@dataclass(frozen=True)
class Survey:
    """Facts about one file.

    Rows in it, digest of their text, ``usual_shift`` (see ``quality.with_shift``), the days that it covers, bad rows by
    rule (duplicates are not known yet), good rows by day, the range of their ids (None without any).
    """

    rows: int = 0
    content: List[int] = field(default_factory=list)
    usual_shift: int = 0
    period: days.Period = ANY_DAY
    quarantined: Dict[str, int] = field(default_factory=dict)
    days: Dict[date, int] = field(default_factory=dict)
    ids: Optional[List[int]] = None


@dataclass(frozen=True)
class Batch:
    """Files of one pass: their parsed rows (persisted) and surveys, by the number that each file has in it."""

    files: Dict[int, Raw]
    rows: DataFrame
    surveys: Dict[int, Survey]

    @property
    def names(self) -> Dict[int, str]:
        return {number: raw.name for number, raw in self.files.items()}

    def without(self, numbers: Sequence[int]) -> Batch:
        """The same rows; those of the numbers given are not the batch's any more."""
        files = {number: raw for number, raw in self.files.items() if number not in numbers}
        return Batch(files, self.rows, {number: self.surveys[number] for number in files})

    def good_or_bad(self) -> DataFrame:
        """Rows of the batch's files with every rule but ``duplicate``."""
        facts = self.surveys.items()
        usual = {number: each.usual_shift for number, each in facts}
        first = {number: each.period.first for number, each in facts}
        last = {number: each.period.last for number, each in facts}
        return quality.flag_days(self.rows, usual, first, last)


def survey(parsed: DataFrame, files: Sequence[Raw], late_days: int) -> Dict[int, Survey]:
    """Survey of each file by its number, its place in ``files``.

    Args:
        parsed: result of ``quality.parse`` with ``number``.
    """
    cells: Dict[int, List[Row]] = {number: [] for number in range(len(files))}
    starts = {number: raw.info.first_day for number, raw in enumerate(files)}
    for cell in quality.cells(parsed, starts).collect():
        cells[cell["number"]].append(cell)
    return {number: summed(cells[number], raw, late_days) for number, raw in enumerate(files)}


def summed(cells: Sequence[Row], raw: Raw, late_days: int) -> Survey:
    """One file's survey out of its cells (see ``quality.cells``)."""
    fine = [cell for cell in cells if cell["rule"] is None]
    shifts: Counter[int] = Counter()
    for cell in fine:
        shifts[cell["shift"] or 0] += cell["rows"]
    usual = max(shifts, key=lambda shift: (shifts[shift], -shift), default=0)
    good = [cell for cell in fine if cell["shift"] == usual]
    by_day: Counter[date] = Counter()
    for cell in good:
        by_day[cell["day"] or date.max] += cell["rows"]
    period = days.period(raw.info.first_day, raw.before, by_day, late_days)
    inside = [cell for cell in good if cell["day"] and period.first <= cell["day"] <= period.last]
    quarantined = {rule: rows_of(cell for cell in cells if cell["rule"] == rule) for rule in quality.RULES}
    quarantined[quality.TX_DAY] = rows_of(fine) - rows_of(good)
    quarantined[quality.PERIOD] = rows_of(good) - rows_of(inside)
    mixed = 0
    for cell in cells:
        mixed ^= cell["mixed"]
    return Survey(
        rows=rows_of(cells),
        content=[rows_of(cells), mixed, sum(cell["summed"] for cell in cells)],
        usual_shift=usual,
        period=period,
        quarantined={rule: rows for rule, rows in quarantined.items() if rows},
        days={day: rows for day, rows in by_day.items() if period.first <= day <= period.last},
        ids=[min(cell["first_id"] for cell in inside), max(cell["last_id"] for cell in inside)] if inside else None,
    )


def rows_of(cells: Iterable[Row]) -> int:
    return sum(cell["rows"] for cell in cells)
