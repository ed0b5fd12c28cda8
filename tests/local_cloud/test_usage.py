"""The account of what was used."""

import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.cloud import Endpoint, stack_python
from tests.support.dataproc import cluster_fields


def told(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What `python -m local_cloud.report --json` says."""
    command = [stack_python(), "-B", "-m", "local_cloud.report", "--state", str(endpoint.state), "--json"]
    return list(json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120).stdout))


def test_usage_tells_age_and_cost_also_of_what_is_gone(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint().start()
    wrapper = own.machine("airflow").wrappers.Dataproc()
    gone = wrapper.create_cluster(**cluster_fields("gone", labels={"run": "r1"})).response.id
    wrapper.delete_cluster(gone)
    priceless = {"computenode_max_hosts_count": 4, "computenode_preemptible": True}
    wrapper.create_cluster(**cluster_fields("alive", **priceless))
    own.stop(signal.SIGKILL)
    first, second = told(own)
    assert (first["name"], first["status"], first["labels"]) == ("gone", "DELETED", {"run": "r1"})
    assert first["seconds"] == pytest.approx(first["deleted"] - first["created"])
    # Three hosts of 2 vCPU, 8 GB and 20 GB of SSD each, at list prices by the hour.
    hourly = 3 * (2 * 1.17 + 8 * 0.31 + 20 * 11.88 / 720)
    assert first["cost"]["amount"] == pytest.approx(hourly * first["seconds"] / 3600, rel=0.05)
    assert first["cost"]["currency"] == "RUB"
    assert (second["name"], second["status"], second["deleted"]) == ("alive", "RUNNING", None)
    assert second["cost"]["amount"] is None
    assert "no known price for preemptible Intel Ice Lake vCPU 100%" in second["cost"]["text"]
