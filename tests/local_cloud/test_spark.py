"""One job on an image's real Spark: FRAUD_SPARK_PYTHON names an interpreter with requirements/spark-image-2.2.txt."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from yandex.cloud.dataproc.v1 import job_pb2

from local_cloud.core.config import Image
from local_cloud.services.dataproc import classes, spark
from tests.support.cloud import Endpoint, finished
from tests.support.dataproc import cluster_fields, job_of, log_of, submit

PYTHON = os.environ.get("FRAUD_SPARK_PYTHON", "")
DEFAULTS = {
    "spark.master": "local[1]",
    "spark.ui.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}


def java_home() -> str:
    """JAVA_HOME, or the home of the `java` on the path."""
    java = shutil.which("java")
    return os.environ.get("JAVA_HOME") or (str(Path(java).resolve().parents[1]) if java else "")


pytestmark = [
    pytest.mark.skipif(
        not PYTHON, reason="set FRAUD_SPARK_PYTHON to an interpreter with requirements/spark-image-2.2.txt"
    ),
    pytest.mark.skipif(not java_home(), reason="no Java: set JAVA_HOME"),
]


def test_a_pyspark_job_counts_with_its_files_and_properties(
    new_endpoint: Callable[..., Endpoint], tmp_path: Path
) -> None:
    version = subprocess.run(
        [PYTHON, "-c", "import pyspark; print(pyspark.__version__)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    image = {"python": PYTHON, "java_home": java_home(), "jars": str(tmp_path)}
    own = new_endpoint(images={"2.2": image}, spark_defaults=DEFAULTS)
    sdk = own.start().machine("airflow")
    properties = {"spark:spark.sql.shuffle.partitions": "3", "pip:pyspark": version}
    cluster = sdk.wrappers.Dataproc().create_cluster(**cluster_fields("spark", properties=properties)).response.id
    (tmp_path / "helper.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "main.py").write_text(
        "import sys\nfrom helper import double\nfrom pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "total = spark.sparkContext.parallelize(range(10)).map(double).sum()\n"
        "print('RESULT', total, spark.conf.get('spark.sql.shuffle.partitions'), spark.version)\n"
        "if sys.argv[1:] == ['fail']:\n    raise ValueError('as asked')\n"
    )
    helper = {"python_file_uris": [f"file://{tmp_path / 'helper.py'}"]}
    # Both at the same time: two cores, and each takes most of a minute on a busy machine.
    operation = submit(sdk, cluster, tmp_path / "main.py", **helper)
    failing = submit(sdk, cluster, tmp_path / "main.py", "fail", **helper)
    done = finished(sdk, operation, seconds=600)
    job = job_of(sdk, operation)
    log = log_of(sdk, job).content
    assert not done.HasField("error"), log
    assert job.status == job_pb2.Job.DONE
    assert f"RESULT 90 3 {version}" in log
    failed = finished(sdk, failing, seconds=600)
    assert failed.error.message.endswith("ValueError: as asked")


def test_a_driver_takes_its_classes_from_the_images_archive(
    new_endpoint: Callable[..., Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = {"python": PYTHON, "java_home": java_home(), "jars": str(tmp_path), "classes": str(tmp_path / "classes")}
    assert classes.environment(Image(**image)) == {}
    assert classes.make(Image(**image), DEFAULTS)
    monkeypatch.setattr(spark, "inspect", None)
    assert classes.make(Image(**image), DEFAULTS), "what was made is not made again"

    sdk = new_endpoint(images={"2.2": image}, spark_defaults=DEFAULTS).start().machine("airflow")
    cluster = sdk.wrappers.Dataproc().create_cluster(**cluster_fields("quick")).response.id
    (tmp_path / "main.py").write_text(
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "driver = spark._jvm.java.lang.ProcessHandle.current().pid()\n"
        "print('ARCHIVE', 'drivers.jsa' in open(f'/proc/{driver}/maps').read(), spark.range(9).count())\n"
    )
    operation = submit(sdk, cluster, tmp_path / "main.py")
    assert not finished(sdk, operation, seconds=600).HasField("error")
    assert "ARCHIVE True 9" in log_of(sdk, job_of(sdk, operation)).content


def test_an_image_without_an_archive_is_asked_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = Image(PYTHON, java_home(), str(tmp_path), classes=str(tmp_path / "classes"))
    caplog.set_level("INFO")
    wrong = {"spark.master": "nowhere", "spark.ui.enabled": "false"}
    assert not classes.make(image, wrong)
    assert "no archive of classes" in caplog.text
    assert "Master must" in caplog.text
    caplog.clear()
    assert not classes.make(image, wrong)
    assert not caplog.text
    assert classes.environment(image) == {}
