"""What candidates have shown against the same champion over weeks: evidence that may be looked at every week.

Each week's paired gain in AP, and its variance over resampled customers, add to a pair's evidence. For a true gain of
at most the margin, and whatever the day on which one looks, the chance that the evidence ever reaches ``1 / alpha`` is
at most alpha (Ville's inequality; gains are taken as normal, with the variance measured): a likelihood ratio against
each of ``STEPS`` above the margin, and their mean.

A retrain leaves its week as ``evidence/<model>/<first day of the test week>.json`` in the lake: a repeated run takes
the place of the former, so a week counts once.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from fraud_retraining.dataset import Days
from fraud_retraining.jobs import log
from fraud_retraining.lake import Lake, at_once

STEPS = (0.005, 0.01, 0.02, 0.05)  # of AP
MOST_WEEKS = 60  # the newest that are read: more than a year
MOST_SAID = 1_000_000  # to 1; more is said as that


@dataclass(frozen=True)
class Evidence:
    """Sums over weeks: of (gain - margin) / variance, and of 1 / variance; a week counts once."""

    weeks: Tuple[Any, ...] = ()
    excess: float = 0.0
    information: float = 0.0

    def after(self, week: Any, gain: float, variance: float, margin: float) -> Evidence:
        if week in self.weeks or not variance > 0:
            return self
        return Evidence((*self.weeks, week), self.excess + (gain - margin) / variance, self.information + 1 / variance)

    @property
    def log_e(self) -> float:
        """Logarithm of the e-value; 0 is no evidence."""
        found = [step * self.excess - step**2 * self.information / 2 for step in STEPS]
        return float(np.logaddexp.reduce(found)) - math.log(len(STEPS))


@dataclass(frozen=True)
class Gain:
    """A candidate's AP minus the champion's on one week, and its variance over resampled customers."""

    gain: float
    variance: float


@dataclass(frozen=True)
class Week:
    """What one retrain found: the days of its test week, the champion, the gain of every other candidate."""

    days: Days
    champion: str
    gains: Mapping[str, Gain]

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Week:
        """A record of the lake.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        first, last = (date.fromisoformat(day) for day in found["week"])
        gains = {
            version: Gain(float(one["gain"]), float(one["variance"])) for version, one in dict(found["gains"]).items()
        }
        if not all(map(math.isfinite, (value for one in gains.values() for value in (one.gain, one.variance)))):
            raise ValueError("a gain or a variance is no number")
        return cls(Days(first, last), str(found["champion"]), gains)


@dataclass(frozen=True)
class Memory:
    """The weeks that count, this one the last of them if it does, and the records that could not be read."""

    week: Week
    counted: List[Week]
    unreadable: List[Dict[str, str]] = field(default_factory=list)
    margin: float = 0.0

    def course(self, version: str) -> List[Tuple[Days, Evidence]]:
        """A candidate's evidence after each week that counts."""
        found: List[Tuple[Days, Evidence]] = []
        evidence = Evidence()
        for week in self.counted:
            if version in week.gains:
                one = week.gains[version]
                after = evidence.after(week.days.first, one.gain, one.variance, self.margin)
                found += [(week.days, after)] if after is not evidence else []
                evidence = after
        return found

    @property
    def seen(self) -> Dict[str, Evidence]:
        """Evidence of each candidate of this week."""
        return {version: self.last(version) for version in self.week.gains}

    def last(self, version: str) -> Evidence:
        course = self.course(version)
        return course[-1][1] if course else Evidence()

    def to_dict(self) -> Dict[str, Any]:
        return {
            "champion": self.week.champion,
            "margin": self.margin,
            "this_week_counts": self.counted[-1:] == [self.week],
            "candidates": {version: self._told(version) for version in self.week.gains},
            "unreadable": self.unreadable,
        }

    def _told(self, version: str) -> Dict[str, Any]:
        course = self.course(version)
        gains = {week.days: week.gains[version] for week in self.counted if version in week.gains}
        last = self.last(version)
        return {
            **asdict(self.week.gains[version]),
            "mean_gain": self.margin + last.excess / last.information if course else None,
            "log_e": last.log_e,
            "weeks": [
                {"week": [str(days.first), str(days.last)], "gain": gains[days].gain, "log_e": evidence.log_e}
                for days, evidence in course
            ],
        }


def remember(lake: Lake, model: str, week: Week, margin: float = 0.0) -> Memory:
    """This week and the earlier ones of the same champion, back to the last week that another one served.

    Weeks that share days count as one, the first of them: what a day shows is counted once. A record that cannot be
    read is named, and is no evidence.
    """
    before = [info.name for info in lake.files.list(f"evidence/{model}") if info.name < name_of(week)]
    found = at_once(lambda name: read(lake, f"evidence/{model}/{name}"), before[-MOST_WEEKS:])
    unreadable = [one for one in found if isinstance(one, dict)]
    for one in unreadable:
        log.warning("%s is no evidence: %s", one["file"], one["reason"])
    served: List[Week] = []
    for one in reversed(found):
        if isinstance(one, Week):
            if one.champion != week.champion:
                break
            served.insert(0, one)
    return Memory(week, apart([*served, week]), unreadable, margin)


def apart(weeks: List[Week]) -> List[Week]:
    """Weeks in the order of time, without those that share a day with one before that counts."""
    found: List[Week] = []
    for week in weeks:
        if not found or week.days.first > found[-1].days.last:
            found.append(week)
    return found


def read(lake: Lake, path: str) -> Any:
    """A week's record; or the file and why it is none."""
    try:
        return Week.parse(lake.files.read_json(path))
    except Exception as error:  # whatever is wrong with an old record, the run goes on without it
        return {"file": path, "reason": f"{type(error).__name__}: {(str(error).splitlines() or ['-'])[0][:200]}"}


def name_of(week: Week) -> str:
    return f"{week.days.first}.json"


def record(lake: Lake, model: str, run_id: str, week: Week) -> str:
    """Leave a week in the lake, in place of an earlier run's; return where."""
    path = f"evidence/{model}/{name_of(week)}"
    about = {
        "run_id": run_id,
        "model": model,
        "champion": week.champion,
        "week": [str(week.days.first), str(week.days.last)],
        "gains": {version: asdict(one) for version, one in week.gains.items()},
    }
    lake.files.write_json(path, about, replace=True)
    return path


def odds(log_e: float) -> str:
    """Evidence in words, such as ``34 to 1`` for and ``1 to 34`` against."""
    value = math.exp(min(abs(log_e), math.log(2 * MOST_SAID)))
    said = f"more than {MOST_SAID:,}" if value > MOST_SAID else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    return f"{said} to 1" if log_e >= 0 else f"1 to {said}"
