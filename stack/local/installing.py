"""What must be on this host before programs of a stack start: environments, jars, an image's archive of classes."""

import contextlib
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from local_cloud.core.config import Image
from local_cloud.services.dataproc import classes
from stack.common.console import say_indented
from stack.common.envs import ENVS, ensure
from stack.common.files import locked
from stack.common.java import ensure_jars, find_java
from stack.local.programs.cloud import SPARK_DEFAULTS, spark_image


def ensure_programs(environments: Iterable[str], image: str, yarn: bool) -> None:
    """Makes environments, and fetches the jars of the object store and of an image's jobs; says what took how long.

    The image comes first: its archive of classes is made while the rest is fetched.
    """
    name, java = f"spark-image-{image}", find_java()
    ensure(name, say_indented)
    ensure_jars(name, java, say_indented)
    with ThreadPoolExecutor(1) as beside:
        archive = beside.submit(ensure_classes, image)
        for each in environments:
            ensure(each, say_indented)
        for each in ("object-store", *([f"yarn-image-{image}"] if yarn else [])):
            ensure_jars(each, java, say_indented)
        archive.result()


def ensure_classes(image: str) -> None:
    """Makes the archive of classes that drivers of an image start with, unless it was tried before."""
    name = f"spark-image-{image}"
    with locked(ENVS / f".{name}-classes.flock"), contextlib.suppress(subprocess.TimeoutExpired):
        begun = time.monotonic()
        if classes.make(Image(**spark_image(image)), SPARK_DEFAULTS) and (seconds := time.monotonic() - begun) > 1:
            say_indented(f"classes for {name}: {seconds:.0f} s")
