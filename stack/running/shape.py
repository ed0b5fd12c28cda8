"""What the screen shows, as `make status JSON=1` prints it. Its keys stay; `format` grows if one changes its meaning.

Times are ISO 8601 in UTC, money is at list prices, with VAT. What has `null` is not known.
"""

from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

FORMAT = 1
WELL, PERSON, UNKNOWN = 0, 1, 2  # exit statuses
T = TypeVar("T")


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What came of one question.

    `state`: `well`; `person`, somebody must look at `problems`; `unknown`, it could not be asked; `absent`, there is
    none here, or not yet. `why` is the reason of the last two, `value` what was found, null without it.
    """

    state: Literal["well", "person", "unknown", "absent"]
    value: T | None = None
    problems: list[str] = field(default_factory=list)
    why: str = ""


@dataclass(frozen=True)
class Serving:
    """The version that serves, by the history; `changing` is a change that is under way."""

    version: str | None
    since: str
    action: str
    by: str
    reason: str
    link: str
    changing: str | None


@dataclass(frozen=True)
class Served:
    """How one version did in a week: average precision with its 95 % interval, and what it won with."""

    version: str
    average_precision: float | None
    interval: list[float] | None
    promised: float | None
    worse: bool


@dataclass(frozen=True)
class Week:
    """The newest week in service whose labels are known; money that was lost, and on cards that people were shown."""

    monday: str
    versions: list[Served]
    lost: float
    listed: float


@dataclass(frozen=True)
class Waiting:
    """A promotion that a person is asked about; without an answer until then the champion stays."""

    version: str
    champion: str | None
    run: str
    reason: str
    report: str
    until: str


@dataclass(frozen=True)
class Decision:
    """What the newest retrain decided: `promote`, `keep` or `reject`; of a dry run, what it would have."""

    action: str
    reason: str
    winner: str | None
    run: str
    ended: str | None
    dry_run: bool


@dataclass(frozen=True)
class Data:
    """`newest` raw file, and the files that no retrain has used yet."""

    newest: str
    arrived: str
    age_days: float
    expected_days: float
    late: bool
    unused: list[str]


@dataclass(frozen=True)
class Drift:
    """What `monitor` found last: `violations`, one line for each window that violates, and if a retrain is wanted."""

    measured: str
    windows: int
    violations: list[str]
    retrain_wanted: bool


@dataclass(frozen=True)
class Scheduled:
    """A DAG: when its schedule starts it next, and its newest run."""

    dag: str
    paused: bool
    next: str | None
    last_state: str | None
    last_started: str | None
    link: str | None


@dataclass(frozen=True)
class Alive:
    """A cluster of ours that lives now, and what it has cost until now."""

    name: str
    status: str
    dag: str
    run: str
    age_seconds: float
    expires: str
    cost: float | None
    currency: str
    overdue: bool


@dataclass(frozen=True)
class LastRun:
    """The cluster of the newest run that has ended; `at_most`: it grew, or its end is not on record."""

    name: str
    dag: str
    seconds: float
    cost: float | None
    at_most: bool


@dataclass(frozen=True)
class Costs:
    """Of clusters, by the records in the lake; a budget of 0 is none. `unpriced` clusters are not in `month`."""

    currency: str
    last_run: LastRun | None
    month: float
    clusters: int
    unpriced: int
    at_most: bool
    budget_run: float
    budget_month: float


@dataclass(frozen=True)
class MlflowServer:
    """`champion` is the version that the alias names, null if it names none."""

    version: str
    champion: str | None


@dataclass(frozen=True)
class Component:
    name: str
    state: str


@dataclass(frozen=True)
class Certificate:
    name: str
    until: str
    days: int


@dataclass(frozen=True)
class Disk:
    path: str
    percent: int
    free_gib: float


@dataclass(frozen=True)
class Machine:
    """`backup` and `verified`: when one was made last, and when one was last restored for trial and looked at."""

    certificates: list[Certificate]
    disks: list[Disk]
    backup: str | None
    verified: str | None


@dataclass(frozen=True)
class Screen:
    """`problems` and `unknown` are those of all answers, each with its question before it."""

    format: int
    kind: Literal["demo", "cloud"]
    where: str
    asked: str
    exit_status: int
    problems: list[str]
    unknown: list[str]
    serving: Answer[Serving]
    service: Answer[Week]
    decision: Answer[Decision]
    approval: Answer[Waiting]
    data: Answer[Data]
    drift: Answer[Drift]
    schedule: Answer[list[Scheduled]]
    clusters: Answer[list[Alive]]
    costs: Answer[Costs]
    mlflow: Answer[MlflowServer]
    airflow: Answer[list[Component]]
    programs: Answer[list[Component]]
    machines: dict[str, Answer[Machine]]
