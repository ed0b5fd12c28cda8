"""Runs that must fail, and what they leave: no cluster, no other champion."""

import gzip
from typing import Any

import pytest

from stack.local.airflow_api import DAG
from stack.local.state import FOLDER_ID, SERVICE_ACCOUNTS, SUBNET_ID, ZONE
from tests.stack.demo import Demo


def red_run(stack: Demo, run_id: str) -> dict[str, Any]:
    """The tasks of a run, when it has failed."""
    run = stack.wait_for_end(run_id)
    assert run["state"] == "failed", run
    return stack.airflow.tasks(run_id)


@pytest.mark.verify
def test_a_training_that_fails_is_red_and_leaves_no_cluster(stack: Demo, cycled: None) -> None:
    aliases = stack.aliases()
    conf = {"force": True, "as_of": "2018-04-20"}  # too early: there is no history to train on
    made = stack.airflow.call("POST", f"dags/{DAG}/dagRuns", json={"logical_date": None, "conf": conf})
    tasks = red_run(stack, made["dag_run_id"])
    assert {name: task["state"] for name, task in tasks.items()} == {
        "check": "success",
        "cluster.create": "success",
        "cluster.prepare": "success",
        "cluster.train": "failed",
        "cluster.delete": "success",
        "decide": "upstream_failed",
        "approve": "upstream_failed",
        "promote": "upstream_failed",
        "report": "upstream_failed",
    }
    log = "\n".join(stack.airflow.log(made["dag_run_id"], "cluster.train", 1))
    assert "another --as-of" in log
    assert stack.names_alive() == []
    assert stack.aliases() == aliases


@pytest.mark.verify
def test_a_broken_lake_file_stops_the_run_with_its_name(stack: Demo, cycled: None) -> None:
    aliases, before = stack.aliases(), stack.run_ids()
    whole = gzip.compress((stack.lake / "2018-06-24.txt").read_bytes())
    broken = {"Bucket": "lake", "Key": "raw/2018-07-22.txt.gz"}
    stack.s3.put_object(**broken, Body=whole[: len(whole) // 2])
    stack.airflow.announce()
    run_id = stack.wait_for_new_run(before)
    tasks = red_run(stack, run_id)
    assert tasks["cluster.prepare"]["state"] == "failed"
    assert tasks["cluster.delete"]["state"] == "success"
    assert "2018-07-22.txt.gz" in "\n".join(stack.airflow.log(run_id, "cluster.prepare", 1))
    assert stack.names_alive() == []
    assert stack.aliases() == aliases
    stack.s3.delete_object(**broken)


def test_the_sweep_deletes_what_a_killed_run_has_left(stack: Demo, cycled: None) -> None:
    host = {"resource_preset": "s3-c2-m8", "disk_type": "network-ssd", "disk_size": 20}
    for owner in ("fraud-retraining", "somebody-else"):
        stack.cloud.wrappers.Dataproc().create_cluster(
            folder_id=FOLDER_ID,
            cluster_name=f"left-{owner}",
            subnet_id=SUBNET_ID,
            zone=ZONE,
            cluster_image_version="2.2",
            services=("YARN", "SPARK"),
            s3_bucket="logs",
            **{f"{node}_{key}": value for node in ("masternode", "computenode") for key, value in host.items()},
            datanode_count=0,
            computenode_count=1,
            oslogin_enabled=True,
            service_account_id=SERVICE_ACCOUNTS["dataproc"],
            cluster_description="scheduled__of_long_ago",
            labels={"owner": owner, "run": "left", "expires": "20180101t000000z"},
        )
    assert stack.sweep()["state"] == "success"
    assert stack.names_alive() == ["left-somebody-else"]
