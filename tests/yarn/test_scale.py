"""The bench's section `scale`: a run of it on a YARN of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.scale import events, runs
from local_cloud.core.config import Image
from tests.support.waiting import wait_until
from tests.yarn.conftest import left_of

BURNS = "import sys\nfor _ in range(3_000_000): pass\nprint('burnt', flush=True)\nsys.stdin.read()"


def test_what_is_started_on_a_core_stays_there() -> None:
    before = os.sched_getaffinity(0)
    ask = [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"]
    for number in range(2 * len(before)):
        with runs.on_core(number):
            found = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split()
        assert [int(core) for core in found] == [sorted(before)[number % len(before)]]
    assert os.sched_getaffinity(0) == before


def test_seconds_of_python_are_those_of_sparks_workers_below_the_folder(tmp_path: Path) -> None:
    watched = runs.PythonTime(tmp_path)
    begun = time.time()
    spent = []
    for number, (word, folder) in enumerate(
        (("pyspark.daemon", tmp_path), ("another", tmp_path), ("pyspark.daemon", "/"))
    ):
        process = subprocess.Popen(
            [sys.executable, "-c", BURNS, word], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout
        assert process.stdout.readline() == b"burnt\n"
        if not number:
            used = psutil.Process(process.pid).cpu_times()
            spent.append(used.user + used.system)
        watched.look()
        process.communicate()
    watched.look()  # what has ended still counts
    assert watched.until(begun) == watched.until(time.time()) == pytest.approx(spent[0], abs=0.02)
    assert spent[0] > 0.02


@pytest.mark.verify
def test_a_run_on_two_hosts_leaves_its_log_and_nothing_else(image: dict[str, str], tmp_path: Path) -> None:
    runs.measure(runs.Run("two", 20_000, 2), tmp_path, Image(**image))
    said = json.loads((tmp_path / "runs" / "0.json").read_text())
    found = events.read(tmp_path / "runs" / "0.log")
    assert (found.executors, said["slots"]) == ({"1": 1, "2": 1}, 2)
    assert found.steps() == list(said["steps"]) == ["prepare", "features", "train", "score"]
    assert said["rows"] == pytest.approx(20_000, rel=0.2)
    assert said["python"]["train"] > 0.1
    written = [stage for stage in found.of("prepare") if len(stage.tasks) == 16 and stage.total("rows") > 15_000]
    assert [stage.skew < events.UNEVEN for stage in written] == [True]  # the days of the month
    for word in ("lake", "yarn", "local", "staging"):
        assert not (tmp_path / word).exists()
    wait_until(lambda: left_of(tmp_path) == [], "its processes have ended", 60)
