"""The whole system on this machine: two weekly cycles and two red runs, by the commands a person types."""

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
import pytest
import requests
from yandex.cloud.dataproc.v1.cluster_service_pb2 import ListClustersRequest
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

from local_cloud.report import usage
from simulator import Faults, Generator
from stack.common import release
from stack.common.envs import ROOT
from stack.local import deploy, supervisor
from stack.local.airflow_api import Airflow
from stack.local.state import FOLDER_ID, SERVICE_ACCOUNTS, SUBNET_ID, ZONE, State

WEEKS = 14  # thirteen fill the windows of the first cycle, one more is the second's news
START = date(2018, 4, 1)
MANY_FAULTS = Faults(
    transaction_id=2e-4, tx_datetime=2e-4, customer_id=2e-4, terminal_id=1e-3, tx_amount=5e-4, tx_time_days=2e-4
)
RULE_OF_FAULT = {"transaction_id": "duplicate", "tx_time_days": "tx_time"}  # the others are named alike


@dataclass
class Demo:
    """One stack in a folder of its own, driven by make."""

    folder: Path
    lake: Path
    faults: list[dict[str, int]] = field(default_factory=list)

    @property
    def state(self) -> State:
        return State(self.folder / "state")

    def make(self, target: str, **variables: object) -> subprocess.CompletedProcess[str]:
        words = [f"{key}={value}" for key, value in {"STATE": self.state.folder, **variables}.items()]
        return subprocess.run(["make", target, *words], cwd=ROOT, capture_output=True, text=True, timeout=1500)

    def demo(self, weeks: int) -> subprocess.CompletedProcess[str]:
        return self.make("demo", WEEKS=weeks, FRAUD_LAKE=self.lake, FORCE=1)

    def mlflow(self, path: str, **query: str) -> Any:
        login = ("admin", self.state.secrets["mlflow_admin_password"])
        answer = requests.get(f"{self.state.url('mlflow')}/api/2.0/mlflow/{path}", params=query, auth=login, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def aliases(self) -> dict[str, str]:
        model = self.mlflow("registered-models/get", name=release.MODEL)["registered_model"]
        return {item["alias"]: item["version"] for item in model.get("aliases", [])}

    def objects(self, bucket: str, prefix: str) -> dict[str, Any]:
        pages = deploy.object_store(self.state).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {item["Key"]: item for page in pages for item in page.get("Contents", ())}

    def read(self, key: str) -> Any:
        return json.loads(deploy.object_store(self.state).get_object(Bucket="lake", Key=key)["Body"].read())

    def clusters_alive(self) -> list[str]:
        client = deploy.sdk(self.state).client(ClusterServiceStub)
        return [cluster.name for cluster in client.List(ListClustersRequest(folder_id=FOLDER_ID)).clusters]

    def last(self) -> dict[str, Any]:
        return self.state.load("last_cycle", {})

    def red_run(self, since: set[str]) -> tuple[str, dict[str, Any]]:
        """Waits for a new run that has ended; returns its id and its tasks."""
        airflow, deadline = Airflow(self.state), time.monotonic() + 600
        while time.monotonic() < deadline:
            for run in airflow.runs():
                if run["dag_run_id"] not in since and run["state"] in ("success", "failed"):
                    assert run["state"] == "failed", run
                    return run["dag_run_id"], airflow.tasks(run["dag_run_id"])
            time.sleep(2)
        pytest.fail("no new run ended")

    def run_ids(self) -> set[str]:
        return {run["dag_run_id"] for run in Airflow(self.state).runs()}


@pytest.fixture(scope="module")
def stack() -> Iterator[Demo]:
    folder = Path(tempfile.mkdtemp(prefix="demo-"))  # short, since a Unix socket lies in it
    demo = Demo(folder, folder / "lake")
    demo.lake.mkdir()
    generator = Generator(seed=7, customers=1500, terminals=3000, start=START, faults=MANY_FAULTS)
    for week in range(WEEKS):
        made = generator.write_file(demo.lake, START + timedelta(weeks=week), 7, compress=week % 2 == 0)
        demo.faults.append(made.faults)
    yield demo
    demo.make("demo-stop")
    if keep := os.environ.get("KEEP_STATE"):  # where a failed run is to be looked at
        shutil.copytree(folder, keep, dirs_exist_ok=True)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def first(stack: Demo) -> subprocess.CompletedProcess[str]:
    return stack.demo(1)


@pytest.fixture(scope="module")
def second(stack: Demo, first: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    return stack.demo(2)


# ------------------------------------------------------------------------------------------------ the first cycle
def test_the_first_cycle_promotes_since_there_was_no_champion(stack: Demo, first: Any) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    decision = stack.last()["decision"]
    assert decision["action"] == "promote"
    assert decision["champion"] is None
    assert stack.aliases()["champion"] == str(decision["winner"])
    for shown in ("decision", decision["reason"][:40], stack.state.url("airflow"), "make demo-stop", "RUB"):
        assert shown in first.stdout


def test_it_was_the_schedule_that_ran_it(stack: Demo, first: Any) -> None:
    runs = {run["dag_run_id"]: run for run in Airflow(stack.state).runs()}
    run = runs[stack.last()["run_id"]]
    assert (run["state"], run["run_type"]) == ("success", "scheduled")
    assert {task["state"] for task in Airflow(stack.state).tasks(run["dag_run_id"]).values()} == {"success"}


def expected_quarantine(faults: list[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counts in faults:
        total.update({RULE_OF_FAULT.get(name, name): n for name, n in counts.items()})
    return total


def test_every_injected_fault_is_in_quarantine_and_nothing_else(stack: Demo, first: Any) -> None:
    manifests = [stack.read(key) for key in stack.objects("lake", "manifest/")]
    found: Counter[str] = Counter()
    for manifest in manifests:
        assert manifest["rows"] == manifest["prepared"] + sum(manifest["quarantined"].values())
        found.update(manifest["quarantined"])
    assert len(manifests) == 13
    assert +found == expected_quarantine(stack.faults[:13])
    for rule in +found:
        assert stack.objects("lake", f"quarantine/rule={rule}/")


def test_the_model_and_its_decision_lie_in_the_object_store(stack: Demo, first: Any) -> None:
    keys = stack.objects("artifacts", "mlflow/")
    for name in ("decision.json", "report.md", "MLmodel"):
        assert [key for key in keys if key.endswith(name)], name


def test_the_cluster_was_created_paid_for_and_is_gone(stack: Demo, first: Any) -> None:
    clusters = usage(stack.state.folder / "cloud")
    assert len(clusters) == 1
    assert clusters[0].labels["owner"] == "fraud-retraining"
    assert clusters[0].deleted
    assert clusters[0].cost.amount > 0
    assert stack.clusters_alive() == []


def test_it_takes_less_memory_than_promised(stack: Demo, first: Any) -> None:
    assert 1 << 29 < stack.last()["peak_bytes"] < 6 << 30


# ------------------------------------------------------------------------------------------------ the second cycle
def test_the_second_cycle_is_decided_on_merit(stack: Demo, second: Any) -> None:
    assert second.returncode == 0, second.stdout + second.stderr
    decision = stack.last()["decision"]
    assert decision["champion"]["metrics"]["average_precision"] > 0
    assert decision["comparison"] is not None
    assert decision["action"] in ("promote", "keep")
    before = str(decision["champion"]["version"])
    champion = str(decision["winner"]) if decision["action"] == "promote" else before
    assert stack.aliases()["champion"] == champion
    assert decision["reason"][:40] in second.stdout


def test_new_data_started_it(stack: Demo, second: Any) -> None:
    runs = {run["dag_run_id"]: run for run in Airflow(stack.state).runs()}
    assert runs[stack.last()["run_id"]]["run_type"] in ("asset_triggered", "scheduled")
    used = {key.rsplit("/", 1)[1] for key in stack.objects("lake", "retrained/")}
    assert len(used) == WEEKS


def test_it_prepared_only_what_was_new(stack: Demo, second: Any) -> None:
    run = stack.last()["decision"]["run_id"]
    newest = sorted(path.name for path in stack.lake.iterdir())[-1]
    assert stack.read(f"runs/{run}/prepare.json")["files"] == [newest]


def test_no_secret_is_in_a_log_or_among_arguments(stack: Demo, second: Any) -> None:
    secrets = {name: value for name, value in stack.state.secrets.items() if "public" not in name}
    folders = ("logs", "airflow/logs", "cloud/clusters")
    logs = [path for name in folders for path in (stack.state.folder / name).rglob("*") if path.is_file()]
    assert len(logs) > 20
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [name for name, value in secrets.items() if value in text], path
    root = psutil.Process(supervisor.process_id(stack.state))
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            arguments = " ".join(process.cmdline())
            assert not [name for name, value in secrets.items() if value in arguments], arguments


def test_a_demo_that_is_done_says_so_and_changes_nothing(stack: Demo, second: Any) -> None:
    aliases, runs = stack.aliases(), stack.run_ids()
    again = stack.demo(2)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 cycles are done already: `make demo WEEKS=3` adds one" in again.stdout
    assert stack.aliases() == aliases
    assert {run for run in stack.run_ids() - runs if not run.startswith("scheduled")} == set()


def test_a_demo_with_other_data_is_refused(stack: Demo, second: Any) -> None:
    other = stack.make("demo", WEEKS=3)
    assert other.returncode != 0
    assert "was begun with data from" in other.stderr


# ------------------------------------------------------------------------------------------------ what a person sees
@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    """A page of Debian's Chromium; it reaches nothing but this machine."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no `chromium` on PATH (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    quiet = ("no-sandbox", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[f"--{flag}" for flag in quiet])
        yield browser.new_page(viewport={"width": 1440, "height": 720})
        browser.close()


def shoot(page: Any, name: str, tmp_path: Path) -> None:
    """Takes a picture, for docs/img where SCREENSHOTS says so."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(2000)  # charts draw themselves in
    page.screenshot(path=folder / f"{name}.png")


def log_in(stack: Demo, page: Any) -> None:
    page.goto(stack.state.url("airflow"))
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", stack.state.secrets["airflow_password"])
    page.click("button[type=submit]")
    page.wait_for_selector("text=Dags")


def show_graph(page: Any) -> None:
    """From the page of a run: its graph with all tasks."""
    page.wait_for_selector("text=promote")
    for button in ("Show Graph", "Expand all task groups", "Collapse Details Panel"):
        page.get_by_label(button).click()
    page.locator(".react-flow__controls-fitview").click()


def test_the_graph_is_green_in_airflow(stack: Demo, second: Any, page: Any, tmp_path: Path) -> None:
    log_in(stack, page)
    page.goto(stack.last()["run_url"])
    show_graph(page)
    shoot(page, "airflow-graph", tmp_path)
    assert page.locator(".react-flow__node >> text=success").count() >= 8


def test_a_person_retrains_by_the_form(stack: Demo, second: Any, page: Any, tmp_path: Path) -> None:
    airflow, before, aliases = Airflow(stack.state), stack.run_ids(), stack.aliases()
    airflow.call("PATCH", "dags/retrain", json={"is_paused": True})
    log_in(stack, page)
    page.goto(f"{stack.state.url('airflow')}/dags/retrain")
    page.locator("[data-scope=switch][data-part=control]").first.click()
    page.wait_for_selector("[data-scope=switch][data-part=control][data-state=checked]")
    assert not airflow.call("GET", "dags/retrain")["is_paused"]

    page.get_by_label("Trigger Dag").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=element_as_of]").fill(stack.last()["decision"]["as_of"])
    form.locator("input[name=element_compute_hosts]").fill("1")
    for name in ("force", "dry_run"):
        form.locator(f"[id='switch:element_{name}:control']").click()
    page.set_viewport_size({"width": 1440, "height": 900})
    shoot(page, "airflow-trigger", tmp_path)
    form.get_by_role("button", name="Trigger").click()
    page.wait_for_url("**/dags/retrain/runs/manual__*")
    run_id = unquote(page.url.rsplit("/", 1)[1])
    assert run_id not in before
    assert (
        airflow.call("GET", f"dags/retrain/dagRuns/{run_id}")["conf"].items()
        >= {"force": True, "dry_run": True}.items()
    )

    show_graph(page)
    page.locator(".react-flow__node >> text=success").nth(7).wait_for(timeout=900_000)  # the page refreshes itself
    page.goto(f"{airflow.run_url(run_id)}/tasks/report")
    page.get_by_label("Full screen").click()
    link = page.get_by_role("dialog").locator("a[href*='report.md']").first
    link.wait_for()
    shoot(page, "airflow-log", tmp_path)
    login = {"username": "admin", "password": stack.state.secrets["mlflow_admin_password"]}
    context = page.context.browser.new_context(http_credentials=login)
    report = context.new_page()
    report.goto(link.get_attribute("href"))
    report.wait_for_selector("text=challenger")
    context.close()
    assert stack.aliases() == aliases


def test_the_run_is_readable_in_mlflow(stack: Demo, second: Any, page: Any, tmp_path: Path) -> None:
    login = {"username": "admin", "password": stack.state.secrets["mlflow_admin_password"]}
    context = page.context.browser.new_context(http_credentials=login, viewport={"width": 1440, "height": 900})
    report = context.new_page()
    report.goto(stack.last()["report_url"])
    report.wait_for_selector("text=challenger")
    report.get_by_label("Close").first.click()  # MLflow's own assistant covers a third of the page
    shoot(report, "mlflow-report", tmp_path)
    report.get_by_role("tab", name="Overview").click()
    report.wait_for_selector("text=average_precision")
    context.close()


# ------------------------------------------------------------------------------------------------ red runs
def test_a_training_that_fails_is_red_and_leaves_no_cluster(stack: Demo, second: Any) -> None:
    aliases, before, airflow = stack.aliases(), stack.run_ids(), Airflow(stack.state)
    conf = {"force": True, "as_of": "2018-04-20"}  # too early: there is no history to train on
    airflow.call("POST", "dags/retrain/dagRuns", json={"logical_date": None, "conf": conf})
    run_id, tasks = stack.red_run(before)
    assert {name: task["state"] for name, task in tasks.items()} == {
        **{"check": "success", "cluster.create": "success", "cluster.prepare": "success", "cluster.train": "failed"},
        **{"cluster.delete": "success", "decide": "upstream_failed", "promote": "upstream_failed"},
        "report": "upstream_failed",
    }
    log = "\n".join(airflow.log(run_id, "cluster.train", 1))
    assert "another --as-of" in log
    assert stack.clusters_alive() == []
    assert stack.aliases() == aliases


def test_a_broken_lake_file_stops_the_run_with_its_name(stack: Demo, second: Any) -> None:
    aliases, before, airflow = stack.aliases(), stack.run_ids(), Airflow(stack.state)
    whole = gzip.compress((stack.lake / "2018-04-08.txt").read_bytes())
    broken = {"Bucket": "lake", "Key": "raw/2018-07-08.txt.gz"}
    deploy.object_store(stack.state).put_object(**broken, Body=whole[: len(whole) // 2])
    airflow.announce()
    run_id, tasks = stack.red_run(before)
    assert tasks["cluster.prepare"]["state"] == "failed"
    assert tasks["cluster.delete"]["state"] == "success"
    assert "2018-07-08.txt.gz" in "\n".join(airflow.log(run_id, "cluster.prepare", 1))
    assert stack.clusters_alive() == []
    assert stack.aliases() == aliases
    deploy.object_store(stack.state).delete_object(**broken)


def test_the_sweep_deletes_what_a_killed_run_has_left(stack: Demo, second: Any) -> None:
    airflow, cloud = Airflow(stack.state), deploy.sdk(stack.state)
    for owner in ("fraud-retraining", "somebody-else"):
        host = {"resource_preset": "s3-c2-m8", "disk_type": "network-ssd", "disk_size": 20}
        cloud.wrappers.Dataproc().create_cluster(
            **{"folder_id": FOLDER_ID, "cluster_name": f"left-{owner}", "subnet_id": SUBNET_ID, "zone": ZONE},
            **{"cluster_image_version": "2.2", "services": ("YARN", "SPARK"), "s3_bucket": "logs"},
            **{f"{node}_{key}": value for node in ("masternode", "computenode") for key, value in host.items()},
            **{"datanode_count": 0, "computenode_count": 1, "oslogin_enabled": True},
            **{"service_account_id": SERVICE_ACCOUNTS["dataproc"], "cluster_description": "scheduled__of_long_ago"},
            labels={"owner": owner, "run": "left", "expires": "20180101t000000z"},
        )
    made = airflow.call("POST", "dags/sweep/dagRuns", json={"logical_date": None})["dag_run_id"]
    deadline = time.monotonic() + 120
    while (run := airflow.call("GET", f"dags/sweep/dagRuns/{made}"))["state"] not in ("success", "failed"):
        assert time.monotonic() < deadline, run
        time.sleep(1)
    assert run["state"] == "success"
    assert stack.clusters_alive() == ["left-somebody-else"]


# ------------------------------------------------------------------------------------------------ the end
def test_what_is_killed_comes_back(stack: Demo, second: Any) -> None:
    victim = supervisor.rpc(stack.state).getProcessInfo("mlflow")["pid"]
    psutil.Process(victim).kill()
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        info = supervisor.rpc(stack.state).getProcessInfo("mlflow")
        if info["statename"] == "RUNNING" and info["pid"] != victim:
            break
        time.sleep(1)
    assert info["pid"] != victim
    assert info["statename"] == "RUNNING"


def test_stop_ends_every_process_and_keeps_the_state(stack: Demo, second: Any) -> None:
    root = psutil.Process(supervisor.process_id(stack.state))
    family = [root, *root.children(recursive=True)]
    done = stack.make("demo-stop")
    assert done.returncode == 0, done.stderr
    gone, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    assert len(gone) > 7
    assert "nothing runs" in stack.make("status").stdout
    assert stack.state.exists


def test_clean_removes_the_state(stack: Demo, second: Any) -> None:
    assert stack.make("demo-clean").returncode == 0
    assert not stack.state.folder.exists()
