"""What the runs did, out of their event logs: kept as one JSON file, of which page, plot and tables are made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.scale.cost import Model, Work, fit, grown, task_memory, work
from bench.scale.events import HEAVY, Application, Stage, alone, heavy, read, uneven

FILE = Path(__file__).parent / "measured.json"
ROWS_OF = {"prepare": "rows", "features": "prepared", "train": "train_rows", "score": "scored"}
IN_PYTHON = ("train", "score")
WITHIN = 0.25  # of the measured seconds
EVEN = 1.1  # times the mean rows of a worker
PROPORTION = 0.25  # of the rows' growth: what the driver's may be at most


@dataclass(frozen=True)
class Seen:
    """A heavy stage: its tasks, its seconds and bytes in sum.

    ``skew`` is the rows of the largest task in those of the median one, ``share`` in a slot's even share.
    """

    step: str
    name: str
    tasks: int
    skew: float
    share: float
    cpu: float
    run: float
    shuffle_read: float
    shuffle_written: float
    spilled: float


@dataclass(frozen=True)
class Measured:
    """One run: how it was set (`runs.Run`), what its job said, what its log says by step, its heavy stages.

    ``workers`` are the rows of each of XGBoost's, ``faults`` what is wrong with its stages, in words.
    """

    run: dict[str, Any]
    said: dict[str, Any]
    executors: dict[str, int]
    works: list[Work]
    stages: list[Seen]
    workers: list[int]
    faults: list[str]

    @property
    def name(self) -> str:
        return str(self.run["name"])

    def of(self, step: str) -> Work:
        return next(one for one in self.works if one.step == step)


def measured(log: Path, said: dict[str, Any]) -> Measured:
    """One run of its event log and of what its job and `runs` have said."""
    found = read(log)
    run = said.pop("run")
    executors = {name: cores for name, cores in found.executors.items() if name != "driver" or not run["hosts"]}
    works = [
        work(step, said[ROWS_OF[step]], found.of(step), len(executors), said["python"][step]) for step in found.steps()
    ]
    stages = [seen(stage, said["slots"]) for step in found.steps() for stage in heavy(found.of(step), HEAVY)]
    workers = workers_of(found)
    return Measured(run, said, executors, works, stages, workers, list(faults(found, said["slots"], workers)))


def seen(stage: Stage, slots: int) -> Seen:
    summed = ("cpu", "run", "shuffle_read", "shuffle_written", "spilled")
    totals = {what: stage.total(what) for what in summed}
    return Seen(stage.step, stage.name, len(stage.tasks), stage.skew, stage.share(slots), **totals)


def workers_of(found: Application) -> list[int]:
    """Rows of each of XGBoost's workers: tasks of the heaviest stage of its own, `fit`."""
    fits = [stage for stage in found.of("train") if stage.name.startswith("fit at")]
    of_train = sorted(fits, key=lambda stage: stage.total("run"))
    return [task.rows for task in of_train[-1].tasks] if of_train else []


def faults(found: Application, slots: int, workers: Sequence[int]) -> Iterator[str]:
    """Stages that further cores do not make faster, of an application with more than one."""
    for stage in alone(found.stages) if slots > 1 else []:
        yield f"{stage.step}: {stage.name} is one task with {stage.total('run'):.1f} s of work"
    for stage in uneven(found.stages, slots):
        yield f"{stage.step}: a task of {stage.name} has {stage.skew:.1f} times the rows of the median one"
    if workers and max(workers) > EVEN * sum(workers) / len(workers):
        yield f"XGBoost's workers have {min(workers):,} to {max(workers):,} rows"


def driver_faults(small: Measured, large: Measured) -> Iterator[str]:
    """What the driver holds in proportion to the lake's rows. The scored week is for its cap to bound."""
    times = large.said["rows"] / small.said["rows"]
    for step in (one.step for one in large.works if one.step != "score"):
        for what, before, after in (
            ("bytes of results", small.of(step).result, large.of(step).result),
            ("MiB of live heap", *(one.said["steps"][step]["heap_mib"] for one in (small, large))),
        ):
            if after > (1 + PROPORTION * (times - 1)) * before:
                of_rows = f"of {times:.1f} times the rows"
                yield f"{step}: the driver has {after:,.0f} {what} instead of {before:,.0f}, {of_rows}"


@dataclass(frozen=True)
class Prediction:
    """Seconds of a core for a step that the model was not fitted on."""

    run: str
    step: str
    rows: int
    predicted: float
    measured: float

    @property
    def off(self) -> float:
        return self.predicted / self.measured - 1


def fitted(runs: Sequence[Measured]) -> tuple[Model, list[Work]]:
    """The cost model and the works that it is of."""
    works = [one for each in runs if each.run["fit"] for one in each.works]
    return fit(works), works


def predictions(runs: Sequence[Measured]) -> list[Prediction]:
    """Of the runs that check the model, step by step: the model knows their rows, executors and heap only."""
    model, works = fitted(runs)
    found = []
    for each in runs:
        if not each.run["fit"]:
            cores = max(each.executors.values())
            heap = task_memory(float(each.run["heap"].rstrip("m")) / 1024, cores)
            for one in each.works:
                expected = grown(works, one.step, one.rows, one.executors, heap, parts(each.said["slots"]))
                found.append(Prediction(each.name, one.step, one.rows, model.seconds(expected), one.seconds))
    return found


def parts(slots: int) -> float:
    """Parts of a shuffle (``jobs.session``) as multiples of those of the runs that were fitted."""
    return max(16, 4 * slots) / 16


def load(folder: Path) -> list[Measured]:
    """The runs of a folder of `runs`, in their order."""
    logs = sorted(folder.glob("*.log"), key=lambda path: int(path.stem))
    return [measured(log, json.loads(log.with_suffix(".json").read_text())) for log in logs]


def to_json(about: Mapping[str, str], runs: Sequence[Measured]) -> str:
    return json.dumps({"about": about, "runs": [asdict(one) for one in runs]}, indent=1) + "\n"


def from_json(text: str) -> tuple[dict[str, str], list[Measured]]:
    known = json.loads(text)
    made = []
    for one in known["runs"]:
        works, stages = [Work(**each) for each in one["works"]], [Seen(**each) for each in one["stages"]]
        made.append(Measured(**{**one, "works": works, "stages": stages}))
    return known["about"], made
