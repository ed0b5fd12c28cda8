"""The DAG's own module, without Airflow: names, what is new, and a promotion that cannot go wrong quietly."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.retraining import lake, plan
from tests.support import ROOT
from tests.support.variable import SETTINGS

BEGUN = datetime(2018, 7, 1, 6, tzinfo=UTC)
RUN = plan.Run("manual__1", BEGUN)


@given(st.text(max_size=300), st.datetimes())
def test_a_cluster_name_is_what_the_cloud_accepts(dag_run_id: str, begun: datetime) -> None:
    assert re.fullmatch(r"[a-z][-a-z0-9]{1,61}[a-z0-9]", plan.run_name(dag_run_id, begun))


def test_a_name_belongs_to_its_run() -> None:
    assert plan.run_name("scheduled__1", BEGUN) == plan.run_name("scheduled__1", BEGUN)
    assert plan.run_name("scheduled__1", BEGUN) != plan.run_name("scheduled__2", BEGUN)


def test_the_disks_of_a_cluster_are_of_the_configured_type() -> None:
    def types(**changes: str) -> set[str]:
        spec = plan.cluster(SETTINGS | {"cluster": SETTINGS["cluster"] | changes}, "name", RUN)
        return {spec["masternode_disk_type"], spec["computenode_disk_type"]}

    assert types() == {"network-ssd"}
    assert types(disk_type="network-hdd") == {"network-hdd"}


def test_the_plan_names_one_cluster_its_expiry_and_both_jobs() -> None:
    made = plan.make(SETTINGS, "http://mlflow", plan.Run("scheduled__1", BEGUN, ["2018-06-24.txt"]))
    assert made["cluster"]["cluster_name"] == made["run"]
    assert made["cluster"]["labels"] == {"owner": "fraud-retraining", "run": made["run"], "dag": "retrain"}
    assert made["cluster"]["hours"] == 6
    assert made["files"] == ["2018-06-24.txt"]
    assert made["prepare"]["main_python_file_uri"] == "s3a://jobs/abc/prepare.py"
    assert made["prepare"]["args"] == ["--lake", "s3a://lake", "--run-id", made["run"]]
    assert made["train"]["args"][-8:] == [
        "--mlflow-uri",
        "http://mlflow",
        "--mlflow-secret",
        "secret-1",
        "--experiment",
        "e",
        "--model",
        "fraud",
    ]


def test_the_plan_of_score_passes_on_what_the_deployment_says() -> None:
    told = SETTINGS | {"score": {"budget": 30}, "quality": {"refunds": True}, "stack": "blue"}
    made = plan.make_score(told, "http://mlflow", RUN, "2")
    assert made["run"].startswith("blue-score-20180701t060000-")
    assert made["cluster"]["labels"] == {"owner": "fraud-retraining", "run": made["run"], "dag": "score"}
    assert made["score"]["main_python_file_uri"] == "s3a://jobs/abc/score.py"
    assert made["score"]["args"][-3:] == ["--version=2", "--refunds", "--budget=30"]
    assert plan.make_score(SETTINGS, "http://mlflow", RUN, "2")["score"]["args"][-1] == "--version=2"


def test_what_a_cluster_costs_reaches_the_training_job() -> None:
    prices = {"currency": "RUB", "master_hour": 10.0, "compute_hour": 8.5}
    made = plan.make(SETTINGS | {"prices": prices}, "http://mlflow", plan.Run("manual__1", BEGUN, hosts=2))
    assert made["train"]["args"][-2:] == ["--price-per-hour=27", "--currency=RUB"]
    told = plan.make(SETTINGS | {"score": {"budget": 30}}, "http://mlflow", plan.Run("manual__1", BEGUN))
    assert told["train"]["args"][-1] == "--budget=30"
    by_weeks = plan.make(SETTINGS | {"promotion": {"rule": "weeks"}}, "http://mlflow", plan.Run("manual__1", BEGUN))
    assert by_weeks["train"]["args"][-1] == "--promotion-rule=weeks"
    ripe = plan.make(SETTINGS | {"ripening": {"share": 0.9}}, "http://mlflow", plan.Run("manual__1", BEGUN))
    assert ripe["train"]["args"][-1] == "--ripe=0.9"
    assert not [word for word in told["train"]["args"] if word.startswith(("--promotion", "--ripe"))]
    unknown = plan.make(SETTINGS | {"prices": {"currency": "RUB"}}, "http://mlflow", plan.Run("manual__1", BEGUN))
    assert not [word for word in unknown["train"]["args"] if word.startswith(("--price", "--currency"))]


def test_an_as_of_date_reaches_the_training_job_and_no_argument_is_empty() -> None:
    made = plan.make(SETTINGS, "http://mlflow", plan.Run("manual__1", BEGUN, as_of="2018-07-01"))
    assert made["train"]["args"][-2:] == ["--as-of", "2018-07-01"]
    assert all(made["train"]["args"])


def test_a_dry_run_tells_the_job_so_and_uses_no_file_up() -> None:
    made = plan.make(SETTINGS, "http://mlflow", plan.Run("manual__1", BEGUN, ["2018-06-24.txt"], dry_run=True))
    assert (made["train"]["args"][-1], made["files"]) == ("--dry-run", [])


def test_the_cluster_is_as_large_as_configured_or_asked_for() -> None:
    assert plan.cluster(SETTINGS, "n", RUN)["computenode_count"] == 2
    assert plan.cluster(SETTINGS, "n", replace(RUN, hosts=7))["computenode_count"] == 7
    assert not [key for key in plan.cluster(SETTINGS, "n", RUN) if "max_hosts" in key or "preemptible" in key]


def grown(**changes: object) -> dict:
    return SETTINGS | {"cluster": SETTINGS["cluster"] | changes}


def test_hosts_are_made_by_an_account_of_their_own_whether_or_not_the_cluster_may_grow() -> None:
    for spec in ({}, {"max_hosts": 8}):
        made = plan.cluster(grown(autoscaling_service_account_id="scaler", **spec), "n", RUN)
        assert made["autoscaling_service_account_id"] == "scaler"
        assert plan.cluster(grown(**spec), "n", RUN)["autoscaling_service_account_id"] == made["service_account_id"]


def test_a_cluster_that_may_grow_may_be_preemptible() -> None:
    made = plan.cluster(grown(max_hosts=8, preemptible=True), "n", RUN)
    assert (made["computenode_count"], made["computenode_max_hosts_count"]) == (2, 8)
    assert made["computenode_preemptible"] is True
    assert plan.cluster(grown(max_hosts=8), "n", RUN)["computenode_preemptible"] is False


def test_a_configuration_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"preemptible is true, cluster\.max_hosts is missing"):
        plan.cluster(grown(preemptible=True), "n", RUN)
    with pytest.raises(ValueError, match=r"9 compute hosts wanted, .* is 8"):
        plan.cluster(grown(max_hosts=8), "n", replace(RUN, hosts=9))


def test_new_files_are_those_no_finished_run_has_used() -> None:
    raw = ["2018-04-08.txt.gz", "2018-04-01.txt", "_temporary", "2018-04-15 [final].txt"]
    assert lake.unused(raw, ["2018-04-01.txt"]) == ["2018-04-08.txt.gz", "2018-04-15 [final].txt"]


@pytest.mark.parametrize("name", ["transactions_2018-04-01.txt", "README.txt", "2018-13-01.txt", "2018-04-011.txt"])
def test_what_is_no_raw_file_by_its_name_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"raw/ holds {name}: .* expected YYYY-MM-DD.txt"):
        lake.unused([name, "2018-04-01.txt"], [])


def test_the_dags_and_the_application_take_the_same_names() -> None:
    said = (ROOT / "spark_app/fraud_retraining/lake.py").read_text()
    assert f'RAW_NAME = re.compile(r"{lake.RAW_NAME.pattern}", re.DOTALL)' in said


def test_the_limits_of_the_data_reach_the_job() -> None:
    assert plan.limits({}) == []
    assert plan.limits({"max_quarantine": 0.05, "refunds": True, "late_days": 90}) == [
        "--max-quarantine=0.05",
        "--late-days=90",
        "--refunds",
    ]
    with pytest.raises(ValueError, match=r"quality has max_quarantin; its keys are max_quarantine, refunds"):
        plan.limits({"max_quarantin": 0.05})


def test_files_from_the_day_of_the_retrain_on_wait() -> None:
    raw = ["2018-04-01.txt", "2018-04-08.txt.gz", "2018-04-15.txt"]
    assert lake.unused(raw, [], "2018-04-15") == raw[:2]
    assert lake.unused(raw, [], "2018-04-16") == raw
