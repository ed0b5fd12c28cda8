"""The Spark application on the object store, with S3A: a path is literal there too, and an output destroys nothing."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.core.config import ObjectStore
from local_cloud.object_storage.front import Front, Server
from local_cloud.object_storage.settings import Settings
from simulator import Generator
from stack.common.envs import ENVIRONMENTS, ensure, find_python
from stack.common.java import ensure_jars, find_java
from stack.common.storage import storage_client
from stack.local.deploy import make_buckets
from stack.local.state import State
from tests.stack.test_object_store import running
from tests.support import ROOT

START, DAYS = date(2018, 4, 1), 28
PREFIX = "la ke [v2] {a,b} *%41 #x: \u044f"
# What may follow the day in a file's name.
ENDINGS = [
    "",
    " [final]",
    " {a,b}",
    "*",
    "%41",
    " #1",
    ": late",
    " \u0438\u0442\u043e\u0433",
    "?x=1",
    "+ b&c=d",
    "(1)'!~",
    "@,;$",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, State]]:
    """The project's own S3: the store behind its front."""
    ensure_jars("object-store", find_java())
    state = State(tmp_path_factory.mktemp("store"))
    state.create(None)
    with running(state):
        make_buckets(state)
        behind = ObjectStore(
            state.url("object_store"), state.secrets["object_store_key"], state.secrets["object_store_secret"]
        )
        server = Server(Front(behind, Settings(state.folder / "settings.json"), lambda _: False)).start()
        yield server.url, state
        server.close()


def deliver(store: tuple[str, State], prefix: str, folder: Path) -> list[str]:
    """Puts raw files into the lake at `prefix`, a file a day; returns their names."""
    url, state = store
    s3 = storage_client(url, state.secrets["object_store_key"], state.secrets["object_store_secret"])
    world, names = Generator(seed=1, customers=150, terminals=300), []
    for number in range(DAYS):
        made = world.write_file(folder, START + timedelta(number), 1, compress=number % 2 == 1).path
        day, _, suffix = made.name.partition(".")
        names.append(f"{day}{ENDINGS[number % len(ENDINGS)]}.{suffix}")
        s3.upload_file(str(made), "lake", f"{prefix}/raw/{names[-1]}")
    return names


def on_spark(image: str, store: tuple[str, State], *arguments: str) -> dict[str, Any]:
    url, state = store
    jars = ensure_jars(f"spark-image-{image}", find_java())
    options = {
        "spark.hadoop.fs.s3a.endpoint": url,
        "spark.hadoop.fs.s3a.endpoint.region": "ru-central1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
    }
    conf = " ".join(f"--conf {key}={value}" for key, value in options.items())
    python = str(ensure(f"spark-image-{image}"))
    done = subprocess.run(
        [python, "-m", "tests.stack.lake_on_s3", *arguments],
        cwd=ROOT,
        env=os.environ
        | {
            "JAVA_HOME": str(find_java()),
            "PYTHONPATH": f"{ROOT / 'spark_app'}{os.pathsep}{ROOT}",
            "PYSPARK_PYTHON": python,
            "PYSPARK_SUBMIT_ARGS": f"--master local[2] --driver-class-path {jars}/* {conf} pyspark-shell",
            "AWS_ACCESS_KEY_ID": state.secrets["object_store_key"],
            "AWS_SECRET_ACCESS_KEY": state.secrets["object_store_secret"],
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.verify
@pytest.mark.parametrize("image", ["2.2", "2.1"])
def test_names_are_literal_on_an_object_store(image: str, store: tuple[str, State], tmp_path: Path) -> None:
    if find_python(f"spark-image-{image}") is None:
        pytest.skip(f"image {image} needs Python {ENVIRONMENTS[f'spark-image-{image}'].pythons[0]}")
    names = deliver(store, f"{PREFIX} {image}", tmp_path)
    found = on_spark(image, store, f"s3a://lake/{PREFIX} {image}", f"s3a://lake/out [{image}] #?{{1}}")
    assert found["files"] == sorted(names)
    assert found["again"] == []
    assert found["as_of"] == str(START + timedelta(DAYS))
    assert found["trained"] == found["evaluated"] > 1000
    assert found["tested"] > 1000
    assert found["features"] >= found["prepared"] > 28 * 200
    assert all("choose a folder elsewhere" in (what or "") for what in found["refused"]), found["refused"]
