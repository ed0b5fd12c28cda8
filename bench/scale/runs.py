"""Runs of ``job`` whose event logs ``report`` reads: ``python -m bench.scale.runs SCRATCH [--full]`` in `stack`.

A real YARN of 1, 2 and 4 node managers: each of one core, which its containers have for themselves as long as the
machine has as many (more hosts share its cores, and show how work is spread, not that it becomes faster). Their
executors are told what the DAG tells those of a cluster. A full-size month runs in one process with all cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import psutil

from bench.scale.sizes import FULL, SMALL, Run
from dags.retraining.executors import Container, Executors, split
from local_cloud.core.config import Image
from local_cloud.services.dataproc import spark
from local_cloud.services.dataproc.yarn import Program, Yarn
from local_cloud.services.dataproc.yarn_sizes import APPLICATION_MASTER, Hosts, Node
from simulator import Generator
from stack.common import release
from stack.common.console import say, step
from stack.common.envs import ROOT, python_of
from stack.common.errors import StackError
from stack.common.java import ensure_jars, find_java

DAYS = 30
ROWS_A_CUSTOMER = 1.94 * DAYS
DRIVER = Container(1024, 1024)


def generate(folder: Path, rows: int) -> Path:
    """One raw file of a month with about so many rows."""
    customers = round(rows / ROWS_A_CUSTOMER)
    generator = Generator(seed=1, customers=customers, terminals=2 * customers)
    folder.mkdir(parents=True)
    generator.write_file(folder, date(2018, 4, 1), DAYS, compress=False)
    return folder


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Whatever this thread starts meanwhile runs on one core, with all that it starts itself."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[core % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def cluster(folder: Path, image: Image, run: Run) -> Iterator[Path | None]:
    """YARN with a run's node managers, each on a core; the folder of its configuration. None, of no host."""
    if not run.hosts:
        yield None
        return
    runtime = spark.inspect(image)
    folder.mkdir(parents=True)
    program = Program(
        f"{image.java_home}/bin/java",
        f"{image.yarn}/*:{runtime.spark_home}/jars/*",
        spark.machine(image, runtime),
        {},
    )
    # Room for the application master is kept on each host, and a core, which it hardly uses: as in the cloud.
    node = Node(2, APPLICATION_MASTER + run.container)
    yarn = Yarn(folder, program, [Hosts(node, 0, 0)])
    yarn.start()
    try:
        for number in range(run.hosts):
            with on_core(number):
                yarn.add()
        yarn.wait_ready()
        yield yarn.conf
    finally:
        yarn.close()


def properties(run: Run, image: Image, scratch: Path) -> dict[str, str]:
    """Spark's, of a run: those of the DAG, where it lies, and its event log."""
    made = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{scratch}/events",
        "spark.eventLog.logStageExecutorMetrics": "true",
        "spark.executor.processTreeMetrics.enabled": "true",  # Python's workers are processes of their own
        "spark.executor.metrics.pollingInterval": "2s",
        "spark.local.dir": str(scratch / "local"),
        "spark.memory.fraction": str(run.fraction),
        "spark.ui.enabled": "false",
    }
    if not run.hosts:
        return {**made, "spark.master": "local[*]", "spark.driver.memory": run.heap}
    executors = Executors(run.hosts, run.hosts, 1, split(run.container), DRIVER, in_cluster=False)
    home = spark.inspect(image).spark_home
    return {
        **made,
        **executors.for_barriers(),
        "spark.master": "yarn",
        "spark.submit.pyFiles": f"file://{scratch}/fraud_retraining.zip",
        "spark.yarn.jars": f"local:{home}/jars/*",
        "spark.yarn.stagingDir": f"file://{scratch}/staging",
        "spark.driver.host": "127.0.0.1",
        # What is not measured leaves the machine to what is: only executors compile as they do in the cloud.
        **{
            f"spark.{part}.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
            for part in ("driver", "yarn.am")
        },
    }


class PythonTime:
    """Seconds of a core of Spark's Python workers below a folder, as a thread sees them that looks once a second."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, dict[int, float]()
        self.sums: list[tuple[float, float]] = [(0.0, 0.0)]
        self._over = threading.Event()

    def look(self) -> None:
        for process in psutil.process_iter(["cmdline", "cwd", "cpu_times"]):
            said, where, spent = (process.info[name] for name in ("cmdline", "cwd", "cpu_times"))
            if "pyspark.daemon" in (said or ()) and str(where).startswith(str(self.folder)) and spent:
                self.seen[process.pid] = spent.user + spent.system
        self.sums.append((time.time(), sum(self.seen.values())))

    def until(self, moment: float) -> float:
        """Seconds up to a time of the clock, by the first look after it."""
        return next((spent for at, spent in self.sums if at >= moment), self.sums[-1][1])

    @contextmanager
    def watching(self) -> Iterator[None]:
        def watch() -> None:
            while not self._over.wait(1):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


def submit(run: Run, lake: Path, image: Image, scratch: Path, conf: Path | None) -> Path:
    """Runs the job on a lake; gives its event log.

    Raises:
        StackError: it failed; with the end of its log.
    """
    (scratch / "events").mkdir(parents=True, exist_ok=True)
    (scratch / "local").mkdir(exist_ok=True)
    (scratch / "staging").mkdir(exist_ok=True)
    (scratch / "fraud_retraining.zip").write_bytes(release.zip_of(ROOT / "spark_app" / "fraud_retraining"))
    spark.write_properties(scratch / "spark.properties", properties(run, image, scratch))
    before = {*(scratch / "events").iterdir()}
    runtime = spark.inspect(image)
    words = ["--properties-file", str(scratch / "spark.properties"), str(ROOT / "bench" / "scale" / "job.py")]
    done = subprocess.run(
        [str(runtime.spark_home / "bin" / "spark-submit"), *words, str(lake), str(lake / "result.json")]
        + (["--train"] if run.train else []),
        cwd=scratch,  # by which Python's workers of one process are known
        env={
            **spark.machine(image, runtime),
            **({"HADOOP_CONF_DIR": str(conf), "YARN_CONF_DIR": str(conf)} if conf else {}),
            "PYTHONPATH": str(ROOT / "spark_app"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise StackError(f"{run.name}: the job ended with status {done.returncode}:\n{done.stdout[-3000:]}")
    (log,) = {*(scratch / "events").iterdir()} - before
    return log


def measure(number: int, run: Run, scratch: Path, image: Image) -> None:
    """Generates the run's rows, works on them, keeps its log and result as ``<number>.*`` of the folder ``runs``."""
    lake = scratch / "lake"
    clear(scratch)  # what a run that was killed has left
    generate(lake / "raw", run.rows)
    workers = PythonTime(scratch)
    try:
        with cluster(scratch / "yarn", image, run) as conf, workers.watching():
            log = submit(run, lake, image, scratch, conf)
        kept = scratch / "runs"
        kept.mkdir(exist_ok=True)
        result = json.loads((lake / "result.json").read_text())
        python = {
            name: workers.until(one["ended"]) - workers.until(one["begun"]) for name, one in result["steps"].items()
        }
        about = {"run": asdict(run), "load": os.getloadavg()[0], "python": python}
        (kept / f"{number}.json").write_text(json.dumps({**about, **result}))
        shutil.move(log, kept / f"{number}.log")
    finally:
        clear(scratch)


def clear(scratch: Path) -> None:
    """Removes what only one run works on."""
    for name in ("lake", "yarn", "local", "staging"):
        shutil.rmtree(scratch / name, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.scale.runs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scratch", type=lambda text: Path(text).resolve())
    parser.add_argument("--image", default="2.2")
    parser.add_argument("--full", action="store_true", help="also one full-size month")
    parser.add_argument("--size", type=float, default=1.0, help="of the rows, as a share (default %(default)s)")
    options = parser.parse_args()
    java, name = find_java(), f"spark-image-{options.image}"
    jars = ensure_jars(name, java, say), ensure_jars(f"yarn-image-{options.image}", java, say)
    image = Image(str(python_of(name)), str(java), *map(str, jars))
    for number, named in enumerate([*SMALL, *([FULL] if options.full else [])]):
        run = replace(named, rows=round(named.rows * options.size))
        if run.is_kept(options.scratch / "runs" / f"{number}.json"):
            say(f"{run.rows:,} rows, {run.name}: kept, measured with the same code")
            continue
        with step(f"{run.rows:,} rows, {run.name}"):
            measure(number, run, options.scratch, image)


if __name__ == "__main__":
    main()
