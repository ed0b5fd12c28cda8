"""How labels ripen: the share of a day's frauds that is known so many days later, and the delay that follows from it.

A raw file that comes again brings labels that have arrived. Its manifest keeps, by day of the transactions, on which
day of the lake how many of them were first known as frauds. Young days are not followed to their end yet, so what is
known of them says too little about late labels: the share is estimated in reverse time, from the oldest age down, each
age by those days alone that are as old (the product-limit estimator for data truncated on the right; Lagakos, Barraj
and De Gruttola, "Nonparametric analysis of truncated survival data, with application to AIDS", 1988; actuaries call it
the chain ladder).

The delay decides which week a retrain measures, and how long before it training ends. What features look at is another
delay (``features.DELAY_DAYS``) and stays: it is part of every registered model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from fraud_retraining.dataset import WEEK, Split
from fraud_retraining.errors import RetrainingError
from fraud_retraining.lake import Manifest, part_day

RIPE = 0.95  # of a day's frauds
SHORTEST, LONGEST = WEEK, 28  # days of the delay
LEAST_FRAUDS = 100  # of days that were followed through the longest delay and a test week
FOLLOWED = LONGEST + WEEK
FIRST_LOOK = WEEK + 1  # days after which a day must have come first, to say when its frauds were known
OLDEST = 91  # age at which all that is ever known is taken as known
LIVE = 31  # days; a lake whose newest day is older is one of the past, and its clock is its newest day


@dataclass(frozen=True)
class Ripening:
    """Shares of the final frauds by age in days (from 1 on), and what follows.

    ``on`` is the day of the lake, ``frauds`` were counted, ``later`` of them came with a corrected file. Without enough
    of them ``known`` is empty and the delay the shortest one; ``why`` says so.
    """

    on: date
    ripe: float
    delay: int
    why: str
    known: List[float]
    frauds: int
    later: int

    def at(self, age: int) -> float:
        """Share that is known at an age."""
        return self.known[min(age, len(self.known)) - 1] if age > 0 else 0.0

    def to_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "on": str(self.on)}


def lake_day(newest: date, today: date) -> date:
    """The day of the lake: today, or the day after the newest one where that is long ago."""
    return today if today - newest <= timedelta(LIVE) else newest + timedelta(1)


def first_seen(days: Mapping[str, int], seen: date) -> Dict[str, Any]:
    """What a new file's manifest keeps: the day on which it was seen, and its frauds by day of the transactions."""
    return {"first_seen": str(seen), "frauds": {day: {str(seen): count} for day, count in days.items() if count}}


def seen_again(former: Manifest, became: Mapping[str, int], seen: date) -> Dict[str, Any]:
    """The same of a corrected file; nothing if the former manifest does not know.

    Args:
        became: rows by day that were no known frauds before.
    """
    if "first_seen" not in former:
        return {}
    frauds = {day: dict(counts) for day, counts in former["frauds"].items()}
    for day, count in became.items():
        if count:
            of_day = frauds.setdefault(day, {})
            of_day[str(seen)] = of_day.get(str(seen), 0) + count
    return {"first_seen": former["first_seen"], "frauds": frauds}


def observed(manifests: Iterable[Manifest], on: date) -> List[Tuple[int, int, int, bool]]:
    """Frauds by the age at which they were known: that age, the age that their day has reached, how many they are,
    and whether a corrected file brought them. Only of days that came in time, so that the age is one of labels."""
    found = []
    for manifest in manifests:
        if "first_seen" not in manifest:
            continue
        first = date.fromisoformat(manifest["first_seen"])
        for day in sorted({part_day(part) for part in manifest["parts"]}):
            if not 0 < (first - day).days <= FIRST_LOOK:
                continue
            for seen, count in manifest["frauds"].get(str(day), {}).items():
                age = (date.fromisoformat(seen) - day).days
                if age <= min(OLDEST, (on - day).days):
                    found.append((age, (on - day).days, count, seen != manifest["first_seen"]))
    return found


def shares(found: Iterable[Tuple[int, int, int, bool]]) -> List[float]:
    """Share known at each age from 1 to ``OLDEST``: an age's new frauds are told by the days alone that are as old."""
    found = list(found)
    known = [1.0] * OLDEST
    for age in range(OLDEST, 1, -1):
        new = sum(count for at, reached, count, _ in found if at == age <= reached)
        by_then = sum(count for at, reached, count, _ in found if at <= age <= reached)
        known[age - 2] = known[age - 1] * (1 - new / by_then if by_then else 1.0)
    return known


def estimate(manifests: Iterable[Manifest], on: date, ripe: float = RIPE) -> Ripening:
    """How labels ripen in a lake, and after how many days ``ripe`` of a day's frauds are known."""
    found = observed(manifests, on)
    frauds, later = (sum(count for _, _, count, again in found if again or all_of) for all_of in (True, False))
    followed = sum(count for _, reached, count, _ in found if reached >= FOLLOWED)
    why = f"labels are taken as known after {SHORTEST} days: "
    if not later:
        return Ripening(on, ripe, SHORTEST, why + "no corrected file has brought a fraud yet", [], frauds, later)
    if followed < LEAST_FRAUDS:
        why += (
            f"how they ripen is seen from {LEAST_FRAUDS} frauds on whose days came in time and were followed for"
            f" {FOLLOWED} days, and there are {followed}"
        )
        return Ripening(on, ripe, SHORTEST, why, [], frauds, later)
    known = shares(found)
    # A retrain on day T measures days before T - delay: the youngest of them is a day older than the delay.
    enough = [delay for delay in range(SHORTEST, LONGEST + 1) if known[delay] >= ripe]
    delay = enough[0] if enough else LONGEST
    why = (
        f"labels are taken as known after {delay} days, when {known[delay]:.1%} of a day's frauds are known ({ripe:.0%}"
        f" are asked for; {later} of {frauds} frauds came with corrected files)"
    )
    return Ripening(on, ripe, delay, why, known, frauds, later)


def check_ripe(split: Split, found: Ripening) -> None:
    """Raise unless the labels of the test week's last day, as old as it is, are ripe."""
    age = (found.on - split.test.last).days
    if not found.known or found.at(age) >= found.ripe:
        return
    mend = f"choose --as-of {found.on} or earlier"
    if found.at(LONGEST + 1) < found.ripe:
        mend = f"see why labels come so late, or lower ripening.share (--ripe, now {found.ripe:g})"
    raise RetrainingError(
        f"the test week {split.test} is not ripe: on {found.on} its last day is {age} days old, and at that age"
        f" {found.at(age):.1%} of the frauds are known, {found.ripe:.0%} are needed; {mend}"
    )
