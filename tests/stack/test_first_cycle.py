"""The first cycle, by the command a person types: there was no champion."""

from collections import Counter
from typing import Any

from local_cloud.report import usage
from tests.stack.demo import DAYS, Demo

RULE_OF_FAULT = {"transaction_id": "duplicate", "tx_time_days": "tx_time"}  # the others are named alike


def raw_names(stack: Demo) -> list[str]:
    return [key[len("raw/") :] for key in stack.objects("lake", "raw/")]


def test_it_promotes_since_there_was_no_champion(stack: Demo, first: Any) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    print(first.stdout)
    decision = stack.last()["decision"]
    assert decision["action"] == "promote"
    assert decision["champion"] is None
    assert stack.aliases()["champion"] == str(decision["winner"])
    for shown in ("decision", decision["reason"][:40], stack.state.url("airflow"), "make demo-stop", "RUB"):
        assert shown in first.stdout


def test_it_was_the_schedule_that_ran_it(stack: Demo, first: Any) -> None:
    run = stack.run(stack.last()["run_id"])
    assert (run["state"], run["run_type"]) == ("success", "scheduled")
    assert {task["state"] for task in stack.airflow.tasks(run["dag_run_id"]).values()} == {"success"}


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
    files = len(DAYS) - 1
    assert len(manifests) == files
    assert +found == expected_quarantine(stack.faults[:files])
    for rule in +found:
        assert stack.objects("lake", f"quarantine/rule={rule}/")


def test_the_model_and_its_decision_lie_in_the_object_store(stack: Demo, first: Any) -> None:
    keys = stack.objects("artifacts", "mlflow/")
    for name in ("decision.json", "report.html", "report.json", "report.md", "MLmodel", "model_card.md"):
        assert [key for key in keys if key.endswith(name)], name


def test_the_cluster_was_created_paid_for_and_is_gone(stack: Demo, first: Any) -> None:
    clusters = usage(stack.state.folder / "cloud")
    assert [cluster.labels["dag"] for cluster in clusters] == ["retrain", "score"]
    for cluster in clusters:
        assert cluster.labels["owner"] == "fraud-retraining"
        assert cluster.deleted
        assert cluster.cost.amount > 0
    assert stack.names_alive() == []


def test_every_row_is_scored_and_the_newest_list_is_on_the_card(stack: Demo, first: Any) -> None:
    prepared = {name: stack.read(f"manifest/{name}.json")["prepared"] for name in raw_names(stack)}
    scored = {name: stack.read(f"scores/manifest/{name}.json") for name in raw_names(stack)}
    assert {name: sum(one["parts"].values()) for name, one in scored.items()} == prepared
    assert {one["version"] for one in scored.values()} == {str(stack.last()["decision"]["winner"])}
    days = [key for key in stack.objects("lake", "alerts/") if key.endswith(".csv")]
    assert len(days) == sum(DAYS[:-1])
    assert f"of up to 100 on {days[-1][len('alerts/') : -len('.csv')]}" in first.stdout
    assert "1. card " in first.stdout


def test_the_promotion_is_on_record(stack: Demo, first: Any) -> None:
    told = stack.make("history").stdout
    decision = stack.last()["decision"]
    assert f"promote by run {decision['run_id']}, champion: version none -> {decision['winner']}" in told


def test_it_takes_less_memory_than_promised(stack: Demo, first: Any) -> None:
    assert 1 << 29 < stack.last()["peak_bytes"] < 6 << 30
