"""Arguments as a cluster hands them over, the settings a session must have, credentials, the end of a job."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fraud_retraining import credentials, jobs
from fraud_retraining.errors import RetrainingError
from tests.spark.session import APP, JAVA_OPTIONS
from tests.spark.transactions import line, write


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


def submit(folder, job, *arguments, environment=None):
    """Start a job as a cluster does: code as a zip, another working directory, no writable home."""
    archive = folder / "fraud_retraining.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(path for path in (APP / "fraud_retraining").rglob("*.*") if path.suffix != ".pyc"):
            packed.write(path, path.relative_to(APP))
    entry = folder / job
    entry.write_text((APP / job).read_text())
    import pyspark

    home = os.path.dirname(pyspark.__file__)
    environment = {
        **(environment or {}),
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "SPARK_HOME": home,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "YC_METADATA_ADDR": "127.0.0.1:1",
        **{name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ},
    }
    command = [f"{home}/bin/spark-submit", "--master", "local[2]", "--driver-java-options", JAVA_OPTIONS]
    command += ["--conf", "spark.ui.enabled=false", "--py-files", str(archive), str(entry), *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def submitted(tmp_path_factory):
    """Two jobs at once, one of them on a broken file: exit status, output and folder of each."""
    good, broken = tmp_path_factory.mktemp("good"), tmp_path_factory.mktemp("broken")
    write(good / "lake", "2018-04-01.txt", [line(number) for number in range(50)])
    write(broken / "lake", "2018-04-01.txt", []).write_text("nothing\n")
    started = {
        "good": submit(good, "prepare.py", f"--lake,{good}/lake,--run-id,r1"),
        "broken": submit(broken, "prepare.py", "--lake", f"{broken}/lake", "--run-id", "r1"),
    }
    try:
        outputs = {name: process.communicate(timeout=300)[0] for name, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
    return {name: (process.returncode, outputs[name]) for name, process in started.items()}, good


def test_a_submitted_job_prepares_and_ends(submitted):
    ended, folder = submitted
    status, output = ended["good"]
    assert status == 0, output[-2000:]
    assert "prepared 50 of 50 rows" in output
    assert (folder / "lake/runs/r1/prepare.json").exists()


def test_a_failed_job_says_why_in_its_last_line(submitted):
    status, output = submitted[0]["broken"]
    assert status != 0
    words = [text for text in output.splitlines() if "ERROR prepare failed" in text]
    assert len(words) == 1
    assert "2018-04-01.txt begins with 'nothing'; expected the header" in words[0]


@pytest.mark.parametrize(
    "job", ["prepare.py", "train.py", "score.py", "score_folder.py", "features_job.py", "evaluate_job.py"]
)
def test_help_needs_no_cluster(job, monkeypatch, capsys):
    def no_session(name):
        raise AssertionError("a Spark session was asked for")

    monkeypatch.setattr(jobs, "session", no_session)
    monkeypatch.setattr(sys, "argv", [job, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(APP / job), run_name="__main__")
    assert ended.value.code == 0
    assert "--lake" in capsys.readouterr().out


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
