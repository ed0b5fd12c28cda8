"""What it costs: sums, what has no known price, and sizes before anything is built."""

import subprocess
import sys
from typing import Any

import pytest

from local_cloud import pricing
from stack.cloud import cost
from stack.cloud.outputs import CostInputs
from stack.cloud.price_list import PRICES, line, retrain, standing
from stack.cloud.sizes import Sized
from stack.common.envs import ROOT
from tests.bootstrap.cloud_fixture import CloudFixture

SIZES: dict[str, Any] = {
    "airflow": {"scheduler": {"count": 2, "preset": "c1-m4"}},
    "database": {"preset": "s3-c2-m8", "hosts": 1, "disk_gib": 20, "disk_type": "network-ssd", "backup_days": 7},
    "machines": {
        "mlflow": {
            "platform": "standard-v3",
            "cores": 2,
            "memory_gib": 4,
            "disk_gib": 30,
            "disk_type": "network-ssd",
            "snapshots": 0,
        },
    },
    "cluster": {
        "master_preset": "s3-c2-m8",
        "compute_preset": "s3-c4-m16",
        "compute_count": 2,
        "disk_gib": 64,
        "disk_type": "network-ssd",
        "preemptible": False,
        "image": "2.1",
        "compute_max_count": None,
        "hours": 6,
    },
    "public_addresses": 0,
    "nat_gateways": 1,
    "dns_zones": 1,
    "kms_keys": 2,
    "buckets": ["lake"],
    "log_days": 14,
    "secrets": 14,
}


def test_the_sums_are_those_of_a_pocket_calculator() -> None:
    lines = {(each.what, each.item): each.amount for each in standing(CostInputs.parse(SIZES))}
    assert lines["Airflow scheduler", "Airflow vCPU"] == pytest.approx(2 * 1 * 720 * 2.50)
    assert lines["Airflow scheduler", "Airflow RAM GB"] == pytest.approx(2 * 4 * 720 * 0.84)
    assert lines["machine mlflow", "disk network-ssd GB"] == pytest.approx(30 * 11.88)
    assert lines["Lockbox", "secret version"] == pytest.approx(15 * 18)
    hour = (2 + 2 * 4) * 1.17 + (8 + 2 * 16) * 0.31 + 3 * 64 * 11.88 / 720
    assert retrain(CostInputs.parse(SIZES), 30).amount == pytest.approx(hour / 2)
    slower = SIZES | {"cluster": SIZES["cluster"] | {"disk_type": "network-hdd"}}
    hour += 3 * 64 * (2.952 - 11.88) / 720
    assert retrain(CostInputs.parse(slower), 30).amount == pytest.approx(hour / 2)


def test_what_smaller_presets_would_save_is_said() -> None:
    (said,) = cost.smaller(CostInputs.parse(SIZES))
    less = 2 * (4 - 2) * 720 * 0.84  # of two schedulers, gigabytes for a month
    assert said == f"with the preset c1-m2 for Airflow's scheduler: {less:,.2f} RUB a month less"
    assert (
        list(cost.smaller(CostInputs.parse(SIZES | {"airflow": {"scheduler": {"count": 2, "preset": "c1-m2"}}}))) == []
    )
    assert list(cost.smaller(CostInputs.parse(SIZES | {"airflow": None}))) == []


def test_an_hour_of_a_cluster_is_what_a_run_of_an_hour_costs() -> None:
    """What the DAGs are told, by host, and what `make cost` says."""
    hour = pricing.hour_of(SIZES["cluster"])
    assert hour["currency"] == "RUB"
    assert hour["master_hour"] + 2 * hour["compute_hour"] == pytest.approx(retrain(CostInputs.parse(SIZES), 60).amount)
    unknown = pricing.hour_of(SIZES["cluster"] | {"preemptible": True, "master_preset": "z9-c2-m8"})
    assert unknown == {"currency": "RUB"}


def test_a_disk_of_data_is_paid_for_besides_the_system() -> None:
    machine = SIZES["machines"]["mlflow"] | {"disk_gib": 20, "data_disk_gib": 100}
    sizes = CostInputs.parse(SIZES | {"machines": {"database": machine}})
    lines = {(each.what, each.item): each.amount for each in standing(sizes)}
    assert lines["machine database", "disk network-ssd GB"] == pytest.approx(120 * 11.88)


def test_what_has_no_known_price_is_said_to_have_none() -> None:
    lines = {each.item: each.amount for each in standing(CostInputs.parse(SIZES))}
    assert lines["NAT gateway"] is None
    assert line("x", "machine Intel Nonsense vCPU", 1).amount is None
    preemptible = SIZES | {"cluster": SIZES["cluster"] | {"preemptible": True}}
    assert str(retrain(CostInputs.parse(preemptible), 30)).startswith("no known price for preemptible")


def test_every_price_has_a_source_and_a_date() -> None:
    for item, entry in PRICES["prices"].items():
        assert entry["source"] in PRICES["sources"], item
        assert entry["per"] in ("hour", "month", "use"), item
    assert len(PRICES["read"].split("-")) == 3


def run_cost(untouched: CloudFixture, *options: str) -> tuple[int, str]:
    """`cost` as it is before anything is built; only the provider's schema is served."""
    line = [
        sys.executable,
        "-m",
        "stack",
        "cost",
        "--state",
        str(untouched.folder / "unbuilt"),
        "--project",
        str(untouched.project),
    ]
    done = subprocess.run([*line, *options], cwd=ROOT, env=untouched.environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_before_anything_is_built_the_configuration_is_priced(untouched: CloudFixture) -> None:
    status, small = run_cost(untouched)
    assert status == 0, small
    assert "the configuration, nothing is built yet" in small
    assert "no known price" in small
    untouched.settings('airflow = { worker = { min = 2, max = 4, preset = "c2-m8" } }\n')
    _, large = run_cost(untouched)
    untouched.settings()
    assert "the settings change nothing of the cost of the defaults" in small
    assert "What the settings change of the cost of the defaults" in large
    assert "per month, what stands: " in large
    more = float(large.split("per month, what stands: ")[1].split("(+")[1].split(")")[0].replace(",", ""))
    assert more == pytest.approx(total(large) - total(small), abs=0.02)
    assert "│ Airflow worker           │ Airflow vCPU" in large
    assert total(large) - total(small) == pytest.approx((3 * 2.50 + 12 * 0.84) * 720, abs=0.02)
    assert untouched.calls() == []


def total(printed: str) -> float:
    line = next(line for line in printed.splitlines() if "per month: " in line)
    return float(line.split("per month: ")[1].split(" ")[0].replace(",", ""))


def test_a_configuration_that_terraform_refuses_is_said(untouched: CloudFixture) -> None:
    untouched.settings('zone = "nowhere"\n')
    status, printed = run_cost(untouched)
    untouched.settings()
    assert status == 1
    assert 'zone is "nowhere", which has no subnet' in printed


def sized(budget: dict[str, float] | None = None, **changed: Any) -> Sized:
    return Sized("the defaults", CostInputs.parse(SIZES | changed), budget or {})


def test_a_change_is_told_line_by_line_and_in_sum(capsys: pytest.CaptureFixture[str]) -> None:
    after = sized(airflow={"scheduler": {"count": 2, "preset": "c2-m8"}}, public_addresses=1, nat_gateways=0)
    found = {(each.what, each.item): each.more for each in cost.changes(sized(), after)}
    assert found["Airflow scheduler", "Airflow vCPU"] == pytest.approx(2 * 720 * 2.50)
    assert found["Airflow scheduler", "Airflow RAM GB"] == pytest.approx(8 * 720 * 0.84)
    assert found["from the internet", "public address"] is None, "a price that is not known is no 0"
    assert ("machine mlflow", "disk network-ssd GB") not in found
    cost.difference(sized(), after, 30, 4)
    said = capsys.readouterr().out
    assert f"(+{2 * 720 * 2.50 + 8 * 720 * 0.84:,.2f})" in said
    assert "not in this difference, for want of a known price: NAT gateway, public address" in said


def test_what_goes_costs_less_and_a_larger_cluster_costs_each_run_more(capsys: pytest.CaptureFixture[str]) -> None:
    cost.difference(sized(), sized(airflow=None, cluster=SIZES["cluster"] | {"compute_count": 4}), 30, 4)
    said = capsys.readouterr().out
    assert f"(-{2 * 720 * 2.50 + 8 * 720 * 0.84:,.2f})" in said
    once = [retrain(each.sizes, 30) for each in (sized(), sized(cluster=SIZES["cluster"] | {"compute_count": 4}))]
    assert f"per retrain: {once[0]} -> {once[1]}" in said


def test_a_budget_that_no_run_keeps_is_said_before_it_is_applied() -> None:
    once = retrain(sized().sizes, 30)
    assert once.amount == pytest.approx(13.7, abs=0.5)
    said = list(cost.over(sized({"run": 10, "month": 50}), once, 4))
    assert [text.partition(":")[0] for text in said] == ["budget of a run", "budget of a month"]
    assert said[0].endswith("no run would start")
    assert list(cost.over(sized({"run": 20, "month": 60}), once, 4)) == []
    unknown = retrain(sized(cluster=SIZES["cluster"] | {"preemptible": True}).sizes, 30)
    assert "a run has no known price: no run would start" in next(cost.over(sized({"run": 10}), unknown, 4))


@pytest.mark.parametrize("said", ["--minutes=0", "--minutes=abc", "--minutes=nan", "--runs=-1", "--runs=inf"])
def test_senseless_numbers_are_refused(untouched: CloudFixture, said: str) -> None:
    status, printed = run_cost(untouched, said)
    assert status == 1
    name, value = said.removeprefix("--").upper().split("=")
    assert f"{name}={value.lower()}: a number" in printed
    assert f"`make cost {name}='" in printed
    assert "Traceback" not in printed
