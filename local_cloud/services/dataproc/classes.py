"""Classes that a driver loads, read and verified ahead: an archive of Java's class data sharing, one an image.

Java takes classes from an archive only if its class path begins as it did when the archive was made. Spark puts the
folder of its settings in front, which Java wants to be empty: jobs have their settings in a file of their own, so that
one folder does for all. An archive that does not fit costs nothing but the time that it would have saved.
"""

import logging
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local_cloud.core.config import Image
from local_cloud.services.dataproc import spark

log = logging.getLogger(__name__)
SECONDS = 300
_PROGRAM = Path(__file__).with_name("classes_program.py")
_BASE, _NAME = "java.jsa", "drivers.jsa"  # Java's own classes, which some Javas have no archive of, and all others


def settings(folder: Path) -> Path:
    """The empty folder that Spark is told to have its settings in."""
    return folder / "conf"


def environment(image: Image) -> dict[str, str]:
    """What lets a driver take its classes from the image's archive; nothing if it has none."""
    folder = Path(image.classes)
    if not image.classes or not (folder / _NAME).exists():
        return {}
    archives = f"{folder / _BASE}:{folder / _NAME}"
    return _environment(folder, f"-XX:SharedArchiveFile={archives} -Xlog:cds=error -Xlog:cds+dynamic=error")


def make(image: Image, properties: Mapping[str, str]) -> bool:
    """Makes an image's archive by a driver that does a little of everything; says whether there is one now.

    A Java that can make none is not asked again.

    Args:
        properties: Spark's, as jobs have them.

    Raises:
        subprocess.TimeoutExpired: this machine is too busy.
    """
    folder = Path(image.classes)
    archive, tried, java = folder / _NAME, folder / "java", _identity(image)
    if tried.exists() and tried.read_text() == java:
        return archive.exists()
    settings(folder).mkdir(parents=True, exist_ok=True)
    for old in (archive, folder / _BASE):
        old.unlink(missing_ok=True)
    runtime, base = spark.inspect(image), f"-XX:SharedArchiveFile={folder / _BASE}"
    subprocess.run([f"{image.java_home}/bin/java", "-Xshare:dump", base], capture_output=True, timeout=SECONDS)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made, file = Path(scratch) / _NAME, Path(scratch) / "job.properties"
        spark.write_properties(file, spark.on_one_machine(properties, spark.properties(properties, image, {}, {})))
        submit = [str(runtime.spark_home / "bin" / "spark-submit"), "--properties-file", str(file)]
        keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true"}
        options = _environment(folder, f"{base} -XX:ArchiveClassesAtExit={made} -Xlog:cds=off -Xlog:cds+dynamic=off")
        done = subprocess.run(
            [*submit, str(_PROGRAM), scratch],
            cwd=scratch,
            env={**spark.machine(image, runtime), **options, **keys},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if done.returncode == 0 and made.exists():
            made.rename(archive)
        else:
            log.info("no archive of classes for %s: %s", image.python, spark.reason(done.stdout + done.stderr))
    tried.write_text(java)
    return archive.exists()


def _identity(image: Image) -> str:
    """Which Java it is: an archive is of one build."""
    release = Path(image.java_home) / "release"
    return f"{image.java_home}\n{release.read_text() if release.exists() else ''}"


def _environment(folder: Path, options: str) -> dict[str, str]:
    return {"SPARK_CONF_DIR": str(settings(folder)), "SPARK_SUBMIT_OPTS": options}
