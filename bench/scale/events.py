"""Spark's event log, read: what each task of each stage read, shuffled, spilled, computed and gave to the driver.

The log is a file of JSON lines that Spark writes with ``spark.eventLog.enabled``; one line an event. Seconds of a
processor are Spark's own count (``executorCpuTime``), which a busy machine does not change; those of Python's workers
are not in it.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEP = "bench.step"  # the local property by which a job says what its stages are for
HEAVY = 0.05  # of an application's task time: a lighter stage may sit in one task
UNEVEN = 2.0  # times the rows of the median task
SLOT = 1.25  # times an even share of all rows for each slot


@dataclass(frozen=True)
class Task:
    """One attempt. ``cpu``, ``run`` and ``gc`` are seconds, the rest bytes, but for ``rows``: those that it read.

    ``spilled`` is on disk; ``memory`` the peak of what sorts and aggregations held; ``result`` what the driver got.
    """

    executor: str
    cpu: float
    run: float
    gc: float
    rows: int
    read: int
    shuffle_read: int
    shuffle_written: int
    spilled: int
    memory: int
    result: int


@dataclass
class Stage:
    """A stage that ran, with all attempts of its tasks; ``step`` is what it was for.

    ``python`` is the most memory that an executor's Python has had meanwhile, in bytes, by the kernel's count.
    """

    id: int
    name: str
    step: str
    python: int = 0
    tasks: list[Task] = field(default_factory=list)

    def total(self, what: str) -> float:
        return sum(getattr(task, what) for task in self.tasks)

    @property
    def skew(self) -> float:
        """Rows of the task that read the most, in those of the median; 1 if the stage read none."""
        rows = [task.rows for task in self.tasks]
        return max(rows) / max(1.0, statistics.median(rows)) if any(rows) else 1.0

    def share(self, slots: int) -> float:
        """Rows of the task that read the most, in an even share of each slot; 0 if the stage read none."""
        return max(task.rows for task in self.tasks) * slots / max(1.0, self.total("rows"))


@dataclass
class Application:
    """What one application did: cores by executor, stages in order, seconds from its start to its end."""

    executors: dict[str, int] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    seconds: float = 0.0

    def steps(self) -> list[str]:
        return list(dict.fromkeys(stage.step for stage in self.stages if stage.step))

    def of(self, step: str) -> list[Stage]:
        return [stage for stage in self.stages if stage.step == step]


def named(name: str) -> str:
    """`collect at /where/it/ran/fraud_retraining/survey.py:69` without what is of one machine."""
    return re.sub(r" at /\S*/(?=[^/]+/[^/]+$)", " at ", name)


def read(file: Path) -> Application:
    """The application of an event log.

    Raises:
        ValueError: a line is no JSON; the log of an application that was killed ends so.
    """
    found, stages, begun = Application(), dict[int, Stage](), 0
    for number, event in events(file):
        kind = event.get("Event")
        if kind == "SparkListenerApplicationStart":
            begun = event["Timestamp"]
        elif kind == "SparkListenerApplicationEnd":
            found.seconds = (event["Timestamp"] - begun) / 1000
        elif kind == "SparkListenerExecutorAdded":
            found.executors[event["Executor ID"]] = event["Executor Info"]["Total Cores"]
        elif kind == "SparkListenerStageSubmitted":
            info, said = event["Stage Info"], event.get("Properties") or {}
            stages.setdefault(info["Stage ID"], Stage(info["Stage ID"], named(info["Stage Name"]), said.get(STEP, "")))
        elif kind == "SparkListenerStageExecutorMetrics" and event["Stage ID"] in stages:
            seen, stage = event["Executor Metrics"].get("ProcessTreePythonRSSMemory", 0), stages[event["Stage ID"]]
            stage.python = max(stage.python, seen if event["Executor ID"] != "driver" else 0)
        elif kind == "SparkListenerTaskEnd" and event.get("Task Metrics"):
            if event["Stage ID"] not in stages:
                raise ValueError(f"{file}:{number} is a task of stage {event['Stage ID']}, which was never submitted")
            stages[event["Stage ID"]].tasks.append(task(event))
    found.stages = [stages[number] for number in sorted(stages) if stages[number].tasks]
    return found


def events(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and event."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise ValueError(f"{file}:{number} is no JSON ({error}); the application has not ended well") from error


def task(event: dict[str, Any]) -> Task:
    measured, info = event["Task Metrics"], event["Task Info"]
    shuffled, written = measured["Shuffle Read Metrics"], measured["Shuffle Write Metrics"]
    return Task(
        executor=info["Executor ID"],
        cpu=(measured["Executor CPU Time"] + measured["Executor Deserialize CPU Time"]) / 1e9,
        run=measured["Executor Run Time"] / 1e3,
        gc=measured["JVM GC Time"] / 1e3,
        rows=measured["Input Metrics"]["Records Read"] + shuffled["Total Records Read"],
        read=measured["Input Metrics"]["Bytes Read"],
        shuffle_read=shuffled["Remote Bytes Read"] + shuffled["Local Bytes Read"],
        shuffle_written=written["Shuffle Bytes Written"],
        spilled=measured["Disk Bytes Spilled"],
        memory=measured.get("Peak Execution Memory", 0),
        result=measured["Result Size"],
    )


def alone(stages: Sequence[Stage], share: float = HEAVY) -> list[Stage]:
    """Stages of one task with more than a share of the time of all tasks: no further core makes them faster."""
    return [stage for stage in heavy(stages, share) if len(stage.tasks) == 1]


def uneven(stages: Sequence[Stage], slots: int, share: float = HEAVY, most: float = UNEVEN) -> list[Stage]:
    """Stages with more than a share of the time, one task of which reads more than ``most`` times the median's rows.

    One whose largest task is no more than a slot's share is none: all slots have work until it ends.
    """
    return [stage for stage in heavy(stages, share) if stage.skew > most and stage.share(slots) > SLOT]


def heavy(stages: Sequence[Stage], share: float) -> Iterable[Stage]:
    least = share * sum(stage.total("run") for stage in stages)
    return [stage for stage in stages if stage.total("run") > least]
