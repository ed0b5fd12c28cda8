"""What was wanted of the figures in bench/RESULTS.md, beside what was reached: bench/goals.toml names the cells."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TITLE = "Goals"
FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Goal:
    """A cell of a section's table, or the ratio of two of one column, and what it must be at most or at least."""

    work: str
    section: str
    row: str
    column: str
    where: str
    of: str | None = None
    most: float | None = None
    least: float | None = None

    def reached(self, section: str) -> float | None:
        """None if it was not measured."""
        found = cell(section, self.row, self.column)
        base = cell(section, self.of, self.column) if self.of else 1.0
        return None if found is None or base is None else found / base

    def is_met(self, reached: float) -> bool:
        return (self.most is None or abs(reached) <= self.most) and (self.least is None or reached >= self.least)

    @property
    def wanted(self) -> str:
        return f"at most {self.most:,g}" if self.most is not None else f"at least {self.least:,g}"

    def line(self, sections: Mapping[str, str]) -> str:
        reached = self.reached(sections.get(self.section, ""))
        if reached is None:
            return f"| {self.work} | {self.wanted} | not measured | |"
        said = "yes" if self.is_met(reached) else f"no: [why](../{self.where})"
        return f"| {self.work} | {self.wanted} | {reached:,.{0 if abs(reached) >= 1000 else 2}f} | {said} |"


def cells(line: str) -> list[str]:
    return [each.strip() for each in line.strip().strip("|").split("|")]


def cell(section: str, row: str, column: str) -> float | None:
    """The number in the one line that matches, of the tables that have such a column; None where none does.

    Raises:
        LookupError: several lines match.
    """
    header: list[str] = []
    found = []
    for line in section.splitlines():
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells(line)
        elif column in header and re.search(row, line):
            found.append(cells(line)[header.index(column)])
    if len(found) > 1:
        raise LookupError(f"{len(found)} lines match {row!r} in tables with a column {column!r}; one is expected")
    return float(re.sub(r"[,%+]", "", found[0])) if found else None


def goals() -> list[Goal]:
    return [Goal(**each) for each in tomllib.loads(FILE.read_text())["goal"]]


def table(sections: Mapping[str, str]) -> str:
    lines = ["| work | wanted | reached | met |", "|---|---|--:|---|", *(goal.line(sections) for goal in goals())]
    return "\n".join(lines)
