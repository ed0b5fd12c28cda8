"""A Data Processing job as a process: `spark-submit` of the image's own pyspark, in an environment made anew."""

import contextlib
import functools
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from local_cloud.core.calls import Stop
from local_cloud.core.config import Image

log = logging.getLogger(__name__)
LOG_NAME = "driveroutput"
_GRACE = 5.0
_PLACEMENT = (
    "spark.driver.cores",
    "spark.driver.memory",
    "spark.dynamicAllocation.",
    "spark.executor.cores",
    "spark.executor.instances",
    "spark.executor.memory",
    "spark.yarn.",
)
_INSPECT = """
import importlib.metadata, json, os, pyspark
found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in importlib.metadata.distributions()}
print(json.dumps({"spark_home": os.path.dirname(pyspark.__file__), "packages": found}))
"""


@dataclass(frozen=True)
class Runtime:
    """What an image's interpreter has: the folder of its pyspark and every package's version by its normalised name."""

    spark_home: Path
    packages: Mapping[str, str]


@functools.cache
def inspect(image: Image) -> Runtime:
    """Ask the image's interpreter; raises `OSError` or `CalledProcessError` if it cannot run or has no pyspark."""
    done = subprocess.run(
        [image.python, "-c", _INSPECT], capture_output=True, text=True, check=True, env={"PATH": os.defpath}, timeout=60
    )
    found = json.loads(done.stdout)
    return Runtime(Path(found["spark_home"]), found["packages"])


def pip_mismatches(runtime: Runtime, properties: Mapping[str, str]) -> list[str]:
    """What the cluster's `pip:NAME` properties ask for and the image does not have, one sentence each.

    The service runs pip with `NAME==value`, so that a value with a `==` of its own asks for what cannot be.
    """
    complaints = []
    for key, wanted in sorted(properties.items()):
        if key.startswith("pip:"):
            name = key.removeprefix("pip:")
            actual = runtime.packages.get(re.sub(r"[-_.]+", "-", name).lower())
            if wanted.startswith("="):
                complaints.append(f"{name}: asked for {wanted!r}, a bare version is expected ({wanted.lstrip('=')!r})")
            elif actual != wanted:
                complaints.append(f"{name}: asked for {wanted}, the image has {actual or 'none'}")
    return complaints


def properties(
    defaults: Mapping[str, str], image: Image, cluster: Mapping[str, str], job: Mapping[str, str]
) -> dict[str, str]:
    """Spark's properties: the configuration's, then the cluster's with the prefix `spark:`, then the job's."""
    jars = f"{image.jars}/*"
    return {
        "spark.driver.extraClassPath": jars,
        "spark.executor.extraClassPath": jars,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        **defaults,
        **{key.removeprefix("spark:"): value for key, value in cluster.items() if key.startswith("spark:")},
        **job,
    }


def on_one_machine(defaults: Mapping[str, str], made: Mapping[str, str]) -> dict[str, str]:
    """The properties of a job in one process: what places it on YARN, or says how large its parts are, is not for it.

    How large that process may be is the configuration's to say.
    """
    memory = {key: value for key, value in defaults.items() if key.startswith("spark.driver.memory")}
    kept = {key: value for key, value in made.items() if not key.startswith(_PLACEMENT)}
    return {
        **kept,
        **memory,
        "spark.master": defaults.get("spark.master", "local[*]"),
        "spark.submit.deployMode": "client",
    }


def write_properties(path: Path, values: Mapping[str, str]) -> None:
    """A Java properties file that nobody else can read."""
    escape = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
    lines = [f"{key} {''.join(escape.get(c, c) for c in value)}\n" for key, value in sorted(values.items())]
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)


def command(runtime: Runtime, properties_file: Path, name: str, job: Any) -> list[str]:
    """The command line of a PysparkJob or SparkJob message. Properties stay in their file, out of the process list."""
    lists = {
        "--py-files": getattr(job, "python_file_uris", ()),
        "--jars": job.jar_file_uris,
        "--files": job.file_uris,
        "--archives": job.archive_uris,
        "--packages": job.packages,
        "--repositories": job.repositories,
        "--exclude-packages": job.exclude_packages,
    }
    options = [word for option, values in lists.items() if values for word in (option, ",".join(values))]
    if getattr(job, "main_class", ""):
        options += ["--class", job.main_class]
    main = getattr(job, "main_python_file_uri", "") or getattr(job, "main_jar_file_uri", "")
    submit = str(runtime.spark_home / "bin" / "spark-submit")
    return [submit, "--properties-file", str(properties_file), "--name", name, *options, main, *job.args]


def machine(image: Image, runtime: Runtime) -> dict[str, str]:
    """The environment that every process on a machine of the image has."""
    return {
        "PATH": os.pathsep.join([str(Path(image.python).parent), f"{image.java_home}/bin", os.defpath]),
        "JAVA_HOME": image.java_home,
        "SPARK_HOME": str(runtime.spark_home),
        "PYSPARK_PYTHON": image.python,
        "PYSPARK_DRIVER_PYTHON": image.python,
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def environment(
    image: Image, runtime: Runtime, configuration: Path, folder: Path, extra: Mapping[str, str]
) -> dict[str, str]:
    """The job's whole environment; nothing is inherited."""
    own = {"SPARK_CONF_DIR": str(configuration), "TMPDIR": str(folder / "tmp")}
    return {**machine(image, runtime), **own, **extra}


class JobStopped(Exception):
    """Somebody asked the job to stop before it had ended."""


def run(
    argv: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    stop: Stop,
    started: Callable[[int, float], None],
) -> int:
    """Run the job in its folder until it ends, and return its exit status; raises `JobStopped` when told to stop.

    `started` is told the process id and its start time (UNIX seconds), by which it can be recognised after a crash.
    """
    (folder / "tmp").mkdir(exist_ok=True)
    with (folder / LOG_NAME).open("ab") as output:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        started(process.pid, psutil.Process(process.pid).create_time())
        while process.poll() is None:
            if stop.wait(0.1):
                raise JobStopped
        return process.returncode
    finally:
        end_session(process.pid)
        process.wait()
        shutil.rmtree(folder / "tmp", ignore_errors=True)


def end_left_behind(pid: int, started: float) -> None:
    """End a job that outlived its endpoint, unless its process id belongs to somebody else by now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if abs(psutil.Process(pid).create_time() - started) > 1:
            return
    end_session(pid)


def end_session(leader: int) -> None:
    """End every process of a session, politely at first. Signalling a group would miss Spark's Python workers."""
    _signal_session(leader, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while _session(leader) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal_session(leader, signal.SIGKILL)


def _signal_session(leader: int, number: signal.Signals) -> None:
    for pid in _session(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _session(leader: int) -> list[int]:
    """The living processes of a session; one that has ended and only waits to be collected does not count."""
    found = []
    # Asked one by one: what `process_iter` remembers of a process is shared with every other thread that iterates.
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


_LOGGED = re.compile(r"^\d\d/\d\d/\d\d \d\d:\d\d:\d\d (INFO|WARN|ERROR|DEBUG) ")
_NOISE = re.compile(r"^\s|^$|^Caused by: |^Traceback |^During handling|^The above exception")


def reason(text: str) -> str:
    """Why a job failed, by its log: the last Python exception, or else the last line that is no log record.

    >>> reason("Traceback (most recent call last):\\n  File 'x.py'\\nValueError: no data\\n24/01/01 00:00:00 INFO X: y")
    'ValueError: no data'
    """
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    for number in range(starts[-1] + 1, len(lines)) if starts else ():
        if not _NOISE.match(lines[number]) and not _LOGGED.match(lines[number]):
            # Py4J puts the Java exception, which is the real reason, on the next line.
            return lines[number] + "".join(line for line in lines[number + 1 : number + 2] if line.startswith(": "))
    plain = [line for line in lines if not _LOGGED.match(line) and not _NOISE.match(line)]
    return plain[-1] if plain else (lines[-1] if lines else "the log is empty")
