"""What the section `scale` reads out of Spark's event log, and what it makes of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from bench.scale import cost, events, measured, plan, report
from bench.scale.cost import GIB, Work
from bench.scale.events import Stage, Task
from bench.scale.sizes import SMALL

METRICS = {
    "Executor Deserialize CPU Time": 500_000_000,
    "Executor CPU Time": 1_500_000_000,
    "Executor Run Time": 3000,
    "JVM GC Time": 100,
    "Result Size": 4096,
    "Peak Execution Memory": 777,
    "Memory Bytes Spilled": 900,
    "Disk Bytes Spilled": 90,
    "Input Metrics": {"Bytes Read": 1000, "Records Read": 10},
    "Shuffle Read Metrics": {"Remote Bytes Read": 30, "Local Bytes Read": 4, "Total Records Read": 5},
    "Shuffle Write Metrics": {"Shuffle Bytes Written": 60, "Shuffle Records Written": 6},
}


def submitted(stage, name, step=None):
    said = {} if step is None else {events.STEP: step}
    return {
        "Event": "SparkListenerStageSubmitted",
        "Stage Info": {"Stage ID": stage, "Stage Attempt ID": 0, "Stage Name": name},
        "Properties": said,
    }


def ended(stage, executor="1", **changes):
    metrics = {**METRICS, **changes}
    return {
        "Event": "SparkListenerTaskEnd",
        "Stage ID": stage,
        "Task Info": {"Executor ID": executor},
        "Task Metrics": metrics,
    }


def python_of(stage, executor, size):
    return {
        "Event": "SparkListenerStageExecutorMetrics",
        "Executor ID": executor,
        "Stage ID": stage,
        "Executor Metrics": {"ProcessTreePythonRSSMemory": size},
    }


LOG = [
    {"Event": "SparkListenerLogStart", "Spark Version": "3.5.6"},
    {"Event": "SparkListenerApplicationStart", "Timestamp": 1000},
    {"Event": "SparkListenerExecutorAdded", "Executor ID": "1", "Executor Info": {"Total Cores": 2}},
    submitted(0, "text at x.py:1", "prepare"),
    submitted(2, "collect at x.py:3", "features"),
    ended(0),
    ended(0, "2"),
    ended(2),
    {"Event": "SparkListenerTaskEnd", "Stage ID": 2, "Task Info": {"Executor ID": "1"}, "Task Metrics": None},
    python_of(2, "1", 500),
    python_of(2, "2", 300),
    python_of(2, "driver", 9000),
    submitted(3, "skipped at x.py:9", "features"),
    {"Event": "SparkListenerApplicationEnd", "Timestamp": 9000},
]


@pytest.fixture
def log(tmp_path):
    def write(lines):
        file = tmp_path / "application"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return file

    return write


def test_the_log_of_an_application_is_read(log):
    found = events.read(log(LOG))
    assert (found.seconds, found.executors, found.steps()) == (8.0, {"1": 2}, ["prepare", "features"])
    first, second = found.stages
    assert (first.id, first.name, len(first.tasks), second.python) == (0, "text at x.py:1", 2, 500)
    assert first.tasks[1] == Task("2", 2.0, 3.0, 0.1, 15, 1000, 34, 60, 90, 777, 4096)
    assert (first.total("cpu"), first.total("shuffle_read")) == (4.0, 68)
    assert [stage.id for stage in found.of("features")] == [2]


def test_a_log_that_ends_within_a_line_is_refused(log):
    file = log(LOG)
    file.write_text(file.read_text()[:-10])
    with pytest.raises(ValueError, match=r"application:14 is no JSON .* has not ended well"):
        events.read(file)


def test_a_task_of_no_stage_is_refused(log):
    with pytest.raises(ValueError, match="application:1 is a task of stage 7, which was never submitted"):
        events.read(log([ended(7)]))


def stage(id, *rows, run=10.0):
    """A stage whose tasks read so many rows each, in so many seconds together."""
    return Stage(id, f"stage {id}", "prepare", 0, [task_of(each, run / len(rows)) for each in rows])


def task_of(rows, run, executor="1"):
    return Task(executor, run / 2, run, 0.0, rows, 0, 0, 0, 0, 0, 0)


def test_a_heavy_stage_of_one_task_is_named_and_a_light_one_is_not():
    stages = [stage(0, 100), stage(1, 100, run=0.5), stage(2, 50, 50)]
    assert [one.id for one in events.alone(stages)] == [0]


def test_a_stage_is_uneven_if_one_task_has_most_rows():
    stages = [stage(0, 10, 10, 10), stage(1, 10, 10, 21), stage(2, 10, 10, 20), stage(3, 0, 0), stage(4, 0, 0, 9)]
    assert [one.id for one in events.uneven(stages, 3)] == [1, 4]
    assert events.uneven([stage(0, 1, 1, 9, run=1.0), stage(1, 5, 5, run=100.0)], 2) == []
    assert events.uneven([stage(0, 50, 50, 1, 1, 1)], 2) == []  # each slot has one of the large ones
    assert [one.id for one in events.uneven([stage(0, 50, 50, 1, 1, 1)], 4)] == [0]


def test_the_faults_of_a_run_are_told():
    found = events.Application({"1": 1, "2": 1}, [stage(0, 100), stage(1, 1, 1, 9), stage(2, 5, 5)])
    assert list(measured.faults(found, 2, [100, 100])) == [
        "prepare: stage 0 is one task with 10.0 s of work",
        "prepare: a task of stage 1 has 9.0 times the rows of the median one",
    ]
    assert list(measured.faults(found, 1, [])) == []  # one slot has work until the end, whatever the tasks
    assert "XGBoost's workers have 50 to 100 rows" in list(measured.faults(found, 2, [100, 50]))


RATES = {"prepare": (4e-6, 3.0), "features": (6e-6, 5.0)}
PER_BYTE = {"read": 0.0, "shuffled": 8 / GIB, "spilled": 20 / GIB}


def worked(step, rows, executors, spilled=0.0):
    """A step that costs exactly what the rates say; features shuffle more of a row than `prepare`."""
    shuffled = rows * (40.0 if step == "prepare" else 300.0)
    per_row, each = RATES[step]
    seconds = rows * per_row + executors * each + shuffled * PER_BYTE["shuffled"] + spilled * PER_BYTE["spilled"]
    sizes = {"read": rows * 60.0, "memory": rows * 20.0, "result": 1e5, "python": 1e6}
    return Work(
        step,
        rows,
        executors,
        shuffled=shuffled,
        spilled=spilled,
        tasks=20,
        seconds=seconds,
        run=seconds,
        busiest=seconds,
        **sizes,
    )


RUNS = [
    *(worked(step, rows, hosts) for step in RATES for rows, hosts in ((400_000, 1), (1_500_000, 1), (1_500_000, 4))),
    worked("features", 1_500_000, 2, 3e8),
    worked("prepare", 1_500_000, 2, 1e8),
]


def test_a_large_run_is_predicted_from_small_ones():
    model = cost.fit(RUNS)
    for step in RATES:
        expected = cost.grown(RUNS, step, 47_000_000, 1, per_task=2 * GIB)
        assert (expected.spilled, expected.seconds) == (0, 0)
        assert model.seconds(expected) == pytest.approx(worked(step, 47_000_000, 1).seconds, rel=0.02)


def test_what_a_task_cannot_hold_is_spilled_and_costs():
    model, rows = cost.fit(RUNS), 47_000_000
    tight = cost.grown(RUNS, "features", rows, 1, per_task=0.5 * GIB)
    assert tight.memory == pytest.approx(20.0 * rows)
    assert tight.spilled == pytest.approx(rows * 3e8 / 1_500_000)
    assert model.seconds(tight) == pytest.approx(worked("features", rows, 1, tight.spilled).seconds, rel=0.02)
    assert cost.grown(RUNS, "features", rows, 1, per_task=0.5 * GIB, parts=4).spilled == 0  # smaller tasks


def test_a_step_of_one_size_tells_nothing_of_another():
    with pytest.raises(ValueError, match="the step prepare was measured with one number of rows; two at least"):
        cost.fit([worked("prepare", 1000, 1), worked("prepare", 1000, 2)])


def test_the_work_of_a_step_is_that_of_its_stages():
    each = [task_of(10, 4.0), task_of(10, 2.0, "2"), task_of(5, 1.0)]
    stages = [Stage(0, "a", "prepare", 7, each[:2]), Stage(1, "b", "prepare", 9, each[2:])]
    found = cost.work("prepare", 25, stages, 2)
    assert (found.seconds, found.run, found.tasks, found.python, found.busiest) == (3.5, 7.0, 3, 9, 2.5)
    with_python = cost.work("prepare", 25, stages, 2, 10.0)
    assert (with_python.seconds, with_python.busiest) == (13.5, 7.5)


def run_of(rows, result, heap):
    steps = {key: {"heap_mib": heap} for key in ("prepare", "features", "train")}
    works = [replace(worked("prepare", rows, 2), step=step, result=result) for step in steps]
    return measured.Measured(
        {"name": "a", "hosts": 2, "fit": True}, {"rows": rows, "steps": steps}, {}, works, [], [], []
    )


def test_a_driver_that_grows_with_the_lake_is_told():
    small = run_of(1000, 100, 50)
    assert list(measured.driver_faults(small, run_of(4000, 120, 60))) == []
    found = list(measured.driver_faults(small, run_of(4000, 400, 60)))
    assert found[0] == "prepare: the driver has 400 bytes of results instead of 100, of 4.0 times the rows"
    assert len(found) == 3
    assert len(list(measured.driver_faults(small, run_of(4000, 100, 200)))) == 3


def test_a_run_is_compared_with_one_of_fewer_rows_on_as_many_hosts():
    small, large, tight, other = (run_of(rows, 1, 1) for rows in (1000, 4000, 4000, 1500))
    for run, name, hosts, fraction in (
        (small, "a", 2, 0.6),
        (large, "b", 2, 0.6),
        (tight, "c", 2, 0.03),
        (other, "d", 0, 0.6),
    ):
        run.run.update(name=name, hosts=hosts, fraction=fraction)
    assert [(few.name, many.name) for few, many in report.pairs([large, tight, other, small])] == [("a", "b")]


def test_more_hosts_shorten_a_retrain_down_to_what_one_core_does():
    train = [replace(one, step="train") for one in RUNS if one.step == "prepare"]
    works = [*RUNS, *train, *(replace(one, step="score") for one in train)]
    model = cost.fit(works)
    few, many = (plan.retrain(model, works, hosts, 0.01) for hosts in (2, 16))
    assert few.works["features"].rows == pytest.approx(47e6 * 12 / 365 * 169, rel=0.001)
    assert few.works["train"].rows < 5_500_000
    assert few.works["score"].rows == 2_000_000
    assert many.alone == few.alone < many.least < few.least <= few.most
    assert many.money[0] / many.least > few.money[0] / few.least  # an hour of more hosts costs more
    shares = [limit.share for limit in plan.limits(few, 200.0)]
    assert shares == sorted(shares, reverse=True)


def test_the_page_is_made_of_what_was_measured():
    known, runs = measured.from_json(measured.FILE.read_text())
    assert report.PAGE.read_text() == report.page(known, runs), "make it anew: python -m bench.scale.report"
    assert measured.to_json(known, runs) == measured.FILE.read_text()


def test_what_was_measured_is_as_it_should_be():
    _, runs = measured.from_json(measured.FILE.read_text())
    assert report.verdict(runs) == []
    assert np.all([one.rows > 0 for run in runs for one in run.works])


def test_a_stage_is_named_without_the_folder_of_a_machine() -> None:
    assert events.named("collect at /home/x/y/spark_app/fraud_retraining/survey.py:69") == (
        "collect at fraud_retraining/survey.py:69"
    )
    assert events.named("parquet at NativeMethodAccessorImpl.java:0") == "parquet at NativeMethodAccessorImpl.java:0"


def test_a_run_is_kept_as_long_as_it_is_the_same(tmp_path):
    """What was measured of another size, or with another container, is measured again."""
    (first, *_), result = SMALL, tmp_path / "0.json"
    assert not first.is_kept(result)
    result.write_text(json.dumps({"run": asdict(first)}))
    assert first.is_kept(result)
    assert not replace(first, container=first.container + 1).is_kept(result)
