"""The first cycle, by the command a person types: there was no champion."""

import json
from collections import Counter
from typing import Any

import pytest

from local_cloud.report import usage
from tests.stack.demo import DAYS, Demo
from tests.support.waiting import wait_until

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


def settled(done: Any) -> Any:
    told = json.loads(done.stdout)
    return None if told["unknown"] or any("unhealthy" in text for text in told["problems"]) else told


def test_the_screen_shows_what_the_cycle_has_made(stack: Demo, first: Any) -> None:
    """By the demo's own endpoints; what the last run has cost is what the cloud's own books say, too."""
    # On a busy machine a part of Airflow may beat late, or an answer come too late for the screen: it is asked again.
    told: dict[str, Any] = wait_until(lambda: settled(stack.make("status", JSON=1)), "a screen with every answer on it")
    decision, last = stack.last()["decision"], usage(stack.state.folder / "cloud")[-1]
    ours = [text for text in told["problems"] if not text.startswith("machine ")]  # a disk that is full is not ours
    assert (told["unknown"], ours) == ([], [])
    assert told["exit_status"] == (1 if told["problems"] else 0)
    serving, decided, costs = (told[name]["value"] for name in ("serving", "decision", "costs"))
    assert (serving["version"], serving["reason"]) == (stack.champion(), decision["reason"])
    assert (decided["action"], decided["run"]) == (decision["action"], decision["run_id"])
    assert told["mlflow"]["value"]["champion"] == serving["version"]
    assert (told["clusters"]["value"], told["data"]["value"]["unused"]) == ([], [])
    assert (costs["last_run"]["name"], costs["last_run"]["at_most"], costs["clusters"]) == (last.name, False, 2)
    assert costs["last_run"]["cost"] == pytest.approx(last.cost.amount, rel=0.2, abs=0.1)
    shown = stack.make("status").stdout
    assert f"version {serving['version']} since" in shown
    assert "last run of score" in shown


def test_a_log_is_read_by_its_name(stack: Demo, first: Any) -> None:
    assert "job | " in stack.make("logs", OF="retrain/cluster.train").stdout
    assert "retrain/cluster.delete" in stack.make("logs", OF="retrain/nothing").stderr
    assert "object-store" in stack.make("logs", OF="nothing").stderr


def test_it_takes_less_memory_than_promised(stack: Demo, first: Any) -> None:
    assert 1 << 29 < stack.last()["peak_bytes"] < 6 << 30
