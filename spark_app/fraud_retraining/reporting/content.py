"""What a report holds. HTML, Markdown and JSON are made of this and of nothing else.

A part that could not be found out is None, and ``Report.absent`` says why, in one line.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional

# Files of a report, by name; and marks by which a file is known as an earlier one.
PAGE, SHORT, DATA, CARD = "report.html", "report.md", "report.json", "model_card.md"
MARKS = {".html": 'content="fraud_retraining"', ".md": "# Retrain "}
Interval = Optional[List[float]]  # 95 %, two numbers


@dataclass(frozen=True)
class Comparison:
    """Challenger (or whoever was best of the others) against champion: the difference in AP, and what it must reach."""

    champion: str
    other: str
    gain: float
    lower_bound: float
    interval: Interval
    min_gain: float
    level: float


@dataclass(frozen=True)
class FirstChampion:
    """Without a champion: AP of the best candidate, and what it must reach."""

    version: str
    average_precision: float
    interval: Interval
    floor: float


@dataclass(frozen=True)
class PairWeek:
    """Gain in AP of one week, and the logarithm of the evidence after it."""

    first: str
    last: str
    gain: float
    log_e: float


@dataclass(frozen=True)
class Pair:
    """What a candidate has shown against the champion: this week's gain, and over the weeks that count.

    ``mean_gain`` weighs each week by its precision; None without a week.
    """

    version: str
    role: str
    gain: float
    mean_gain: Optional[float]
    log_e: float
    weeks: List[PairWeek]


@dataclass(frozen=True)
class Evidence:
    """Evidence over weeks for a gain above ``margin``; at ``needed`` to 1 it promotes, if the rule is `weeks`."""

    champion: str
    rule: str
    margin: float
    needed: float
    this_week_counts: bool
    pairs: List[Pair]
    unreadable: List[Dict[str, str]]


@dataclass(frozen=True)
class Standing:
    """A candidate with its metrics, 95 % intervals where they were resampled, and what became of it."""

    version: str
    role: str
    metrics: Dict[str, float]
    intervals: Dict[str, Interval]
    outcome: str


@dataclass(frozen=True)
class Curve:
    """Precision of one candidate at each recall, with a 95 % band if it was resampled."""

    version: str
    role: str
    recall: List[float]
    precision: List[float]
    low: Optional[List[float]] = None
    high: Optional[List[float]] = None


@dataclass(frozen=True)
class Day:
    """What lies on one day's list: cards with a fraud among the listed ones and among all, and the same in money."""

    day: str
    listed: int
    found: int
    compromised: int
    money_found: float
    money: float


@dataclass(frozen=True)
class Budget:
    """What people find who check ``cards`` cards a day; a card that was found leaves the following days."""

    version: str
    role: str
    cards: int
    days: List[Day]
    precision: float
    precision_interval: Interval
    recall: float
    recall_interval: Interval
    money: float
    money_found: float


@dataclass(frozen=True)
class Kind:
    """Frauds of one kind, and how many of them lie on cards that were listed by then."""

    kind: str
    frauds: int
    found: int
    found_by_champion: Optional[int]


@dataclass(frozen=True)
class Bin:
    """Rows whose score lies in one range: mean score, share of frauds with its 95 % interval."""

    name: str
    rows: int
    expected: float
    observed: float
    interval: Interval


@dataclass(frozen=True)
class Scores:
    """Shares of genuine rows and of frauds by score; ``edges`` has one number more."""

    edges: List[float]
    genuine: List[float]
    fraud: List[float]


@dataclass(frozen=True)
class Importance:
    """Of one input: share of the total gain, and the AP that is lost if its values are shuffled. None: not an input."""

    name: str
    gain: Optional[float]
    loss: Optional[float]
    champion_gain: Optional[float] = None
    champion_loss: Optional[float] = None


@dataclass(frozen=True)
class Drift:
    """Of one input: PSI of the test week against the train window, and both as shares over the same bins."""

    name: str
    psi: float
    edges: List[float]
    train: List[float]
    week: List[float]
    unknown_train: float
    unknown_week: float


@dataclass(frozen=True)
class RawFile:
    """Rows of a raw file; ``corrected`` has labels, added, removed, if it came again with another content."""

    name: str
    rows: int
    prepared: int
    quarantined: Dict[str, int]
    corrected: Dict[str, int]


@dataclass(frozen=True)
class Labels:
    """How labels ripen: ``known`` has the share of a day's frauds by age in days, from 1 on, empty if it is not known.

    ``delay`` follows from it and from the share ``ripe`` that is asked for; ``why`` says how, ``on`` is the lake's day.
    """

    on: str
    ripe: float
    delay: int
    why: str
    known: List[float]
    frauds: int
    later: int


@dataclass(frozen=True)
class Quality:
    """What ``prepare`` of the same run took: the totals, and the files with most to tell; ``more`` are not listed."""

    rows: int
    prepared: int
    quarantined: Dict[str, int]
    unlabelled: int
    files: List[RawFile]
    more: int
    seconds: float


@dataclass(frozen=True)
class Point:
    """AP of a version on a week that ends on ``day``. ``kind``: chosen, retrain (a later one), service."""

    version: str
    day: str
    kind: str
    average_precision: float
    interval: Interval = None
    promised: Optional[float] = None


@dataclass(frozen=True)
class Change:
    """A change of what serves."""

    when: str
    action: str
    before: Optional[str]
    after: Optional[str]
    by: str
    why: str


@dataclass(frozen=True)
class History:
    """Champions by the weeks that are known, and the changes of what served, oldest first."""

    points: List[Point]
    changes: List[Change]


@dataclass(frozen=True)
class Step:
    """Seconds of a step, and its cost where the cluster's price is known."""

    name: str
    seconds: float
    cost: Optional[float]


@dataclass(frozen=True)
class Card:
    """The model card of a version."""

    model: str
    version: Optional[str]
    owner: str
    algorithm: str
    inputs: List[str]
    lineage: Dict[str, str]


@dataclass(frozen=True)
class Report:
    """One retrain, or one evaluation (``action`` is measure)."""

    run_id: str
    as_of: str
    as_of_reason: str
    action: str
    headline: str
    reason: str
    dry_run: bool
    windows: Dict[str, List[str]]
    counts: Dict[str, int]
    standings: List[Standing]
    amount_only: float
    card: Card
    settings: Dict[str, Any]
    comparison: Optional[Comparison] = None
    first: Optional[FirstChampion] = None
    decided_by: str = "week"
    evidence: Optional[Evidence] = None
    skipped: List[Dict[str, str]] = field(default_factory=list)
    curves: List[Curve] = field(default_factory=list)
    budgets: List[Budget] = field(default_factory=list)
    calibration: List[Bin] = field(default_factory=list)
    scores: Optional[Scores] = None
    kinds: List[Kind] = field(default_factory=list)
    importance: List[Importance] = field(default_factory=list)
    drift: List[Drift] = field(default_factory=list)
    quality: Optional[Quality] = None
    labels: Optional[Labels] = None
    history: Optional[History] = None
    steps: List[Step] = field(default_factory=list)
    currency: str = ""
    absent: Dict[str, str] = field(default_factory=dict)

    @property
    def challenger(self) -> Standing:
        return next(one for one in self.standings if one.role == "challenger")

    @property
    def champion(self) -> Optional[Standing]:
        return next((one for one in self.standings if one.role == "champion"), None)

    def to_dict(self) -> Dict[str, Any]:
        """Plain values for JSON: no NaN and no infinity, which JSON lacks; six significant digits."""
        plain: Dict[str, Any] = rounded(asdict(self))
        return plain


def rounded(value: Any) -> Any:
    """A copy of nested values with short numbers; what is no number in JSON is null."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
