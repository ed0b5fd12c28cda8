"""Arguments as a cluster hands them over, the settings a session must have, credentials, the end of a job."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fraud_retraining import credentials, jobs
from fraud_retraining.errors import RetrainingError
from tests.spark.conftest import APP
from tests.spark.test_preparation import line, write


@pytest.mark.parametrize(
    "argv",
    [
        ["--lake", "s3a://lake", "--run-id", "r1"],
        ["--lake,s3a://lake,--run-id,r1"],
        ["--lake", "s3a://lake", "", "--run-id", "r1"],
        ["--lake,s3a://lake,,--run-id,r1"],
    ],
)
def test_arguments_arrive_whole_or_as_one_token(argv):
    assert jobs.arguments(argv) == ["--lake", "s3a://lake", "--run-id", "r1"]


def test_a_comma_in_one_of_several_arguments_stays():
    assert jobs.arguments(["--lake", "a,b"]) == ["--lake", "a,b"]


def test_settings_that_results_depend_on(spark):
    settings = spark.sparkContext.getConf()
    assert settings.get("spark.dynamicAllocation.enabled") == "false"
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.parquet.outputTimestampType") == "TIMESTAMP_MICROS"


def submit(tmp_path, job, *arguments):
    """Run a job as a cluster does: code as a zip, another working directory, no writable home."""
    archive = tmp_path / "fraud_retraining.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted((APP / "fraud_retraining").glob("*.py")):
            packed.write(path, f"fraud_retraining/{path.name}")
    entry = tmp_path / job
    entry.write_text((APP / job).read_text())
    import pyspark

    home = os.path.dirname(pyspark.__file__)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "SPARK_HOME": home,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "YC_METADATA_ADDR": "127.0.0.1:1",
        **{name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ},
    }
    command = [f"{home}/bin/spark-submit", "--master", "local[2]", "--py-files", str(archive), str(entry), *arguments]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )


def test_a_submitted_job_prepares_and_ends(tmp_path):
    write(tmp_path / "lake", "2018-04-01.txt", [line(number) for number in range(50)])
    done = submit(tmp_path, "prepare.py", f"--lake,{tmp_path}/lake,--run-id,r1")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "prepared 50 of 50 rows" in done.stdout
    assert (tmp_path / "lake/runs/r1/prepare.json").exists()


def test_a_failed_job_says_why_in_its_last_line(tmp_path):
    path = write(tmp_path / "lake", "2018-04-01.txt", [])
    path.write_text("nothing\n")
    failed = submit(tmp_path, "prepare.py", "--lake", f"{tmp_path}/lake", "--run-id", "r1")
    assert failed.returncode != 0
    words = [text for text in failed.stdout.splitlines() if "ERROR prepare failed" in text]
    assert len(words) == 1
    assert "2018-04-01.txt begins with 'nothing'; expected the header" in words[0]


@pytest.mark.parametrize("job", ["prepare.py", "train.py", "features_job.py", "evaluate_job.py"])
def test_help_needs_no_cluster(job):
    shown = subprocess.run([sys.executable, str(APP / job), "--help"], stdout=subprocess.PIPE, text=True, timeout=60)
    assert shown.returncode == 0
    assert "--lake" in shown.stdout


class Cloud(BaseHTTPRequestHandler):
    """Metadata service of a machine."""

    def do_GET(self):
        known = self.headers.get("Metadata-Flavor") == "Google" and self.path.endswith("/default/token")
        self.send_response(200 if known else 403)
        self.end_headers()
        self.wfile.write(b'{"access_token": "t1.secret", "expires_in": 100, "token_type": "Bearer"}')

    def log_message(self, *_):
        pass


@pytest.fixture
def metadata():
    server = HTTPServer(("127.0.0.1", 0), Cloud)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def answers(payload):
    """Answers of the cloud's endpoints by URL; the metadata service is asked for real."""
    ask = credentials.get

    def get(url, headers):
        if url.startswith("http://"):
            return ask(url, headers)
        if url == "https://api.test/endpoints":
            return {"endpoints": [{"id": "lockbox-payload", "address": "lockbox.test:443"}]}
        assert (url, headers) == (
            "https://lockbox.test:443/lockbox/v1/secrets/e6q1/payload",
            {"Authorization": "Bearer t1.secret"},
        )
        return payload

    return get


def test_credentials_come_from_lockbox_by_the_machines_identity(metadata, monkeypatch):
    entries = [{"key": "username", "textValue": "retrain"}, {"key": "password", "textValue": "p"}]
    monkeypatch.setattr(credentials, "get", answers({"entries": entries}))
    environment = {"YC_METADATA_ADDR": metadata, "YC_ENDPOINT": "api.test"}
    credentials.provide("e6q1", environment)
    found = (environment["MLFLOW_TRACKING_USERNAME"], environment["MLFLOW_TRACKING_PASSWORD"])
    assert found == ("retrain", "p")
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" not in environment


def test_a_servers_own_authority_comes_with_the_credentials(metadata, monkeypatch):
    values = {"username": "retrain", "password": "p", "ca": "-----BEGIN CERTIFICATE-----\n…"}
    entries = [{"key": key, "textValue": value} for key, value in values.items()]
    monkeypatch.setattr(credentials, "get", answers({"entries": entries}))
    environment = {"YC_METADATA_ADDR": metadata, "YC_ENDPOINT": "api.test"}
    credentials.provide("e6q1", environment)
    with open(environment["MLFLOW_TRACKING_SERVER_CERT_PATH"]) as file:
        assert file.read() == values["ca"]
    os.unlink(environment["MLFLOW_TRACKING_SERVER_CERT_PATH"])


def test_the_environment_comes_first():
    environment = {"MLFLOW_TRACKING_USERNAME": "a", "MLFLOW_TRACKING_PASSWORD": "b", "YC_METADATA_ADDR": "127.0.0.1:1"}
    credentials.provide("e6q1", environment)
    assert environment["MLFLOW_TRACKING_PASSWORD"] == "b"


def test_a_secret_without_a_password_is_named(metadata, monkeypatch):
    monkeypatch.setattr(credentials, "get", answers({"entries": [{"key": "username", "textValue": "retrain"}]}))
    with pytest.raises(RetrainingError, match=r"e6q1 has no entry \['password'\]"):
        credentials.provide("e6q1", {"YC_METADATA_ADDR": metadata, "YC_ENDPOINT": "api.test"})


def test_no_metadata_service_is_one_clear_error():
    with pytest.raises(RetrainingError, match=r"GET http://127.0.0.1:1/.*failed: ConnectionError"):
        credentials.provide("e6q1", {"YC_METADATA_ADDR": "127.0.0.1:1"})
