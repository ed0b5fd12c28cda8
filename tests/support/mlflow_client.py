"""What a training run asks of MLflow, with MLflow's own client and its own retries. Prints one JSON object.

mlflow_client.py record SECONDS               logs five times a second, then looks whether all that was taken is there
mlflow_client.py transfer MIB CLIENTS         a file up and down again, while so many other clients log
mlflow_client.py upload MIB                   a file up and down again
mlflow_client.py hash RUN                     the hash of that file, as it comes down
mlflow_client.py delete RUN
mlflow_client.py create                       runs and versions, until standard input ends; then looks what is there

Clients of every age run it, image 2.1's on Python 3.8 too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

MEBIBYTE = 1 << 20
EXPERIMENT, FILE, MODEL = "fraud-retraining", "model.bin", "fraud"


def new_run(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.create_run(experiment.experiment_id).info.run_id


def record(seconds: str) -> dict[str, Any]:
    """`taken`: calls that succeeded; `lost`: those of them that the server does not have; `longest`: of a call, s."""
    client, begun, taken, longest = MlflowClient(), time.monotonic(), 0, 0.0
    run = new_run(client)
    print("begun", file=sys.stderr, flush=True)
    while time.monotonic() - begun < float(seconds):
        asked = time.monotonic()
        client.log_metric(run, "loss", 1 / (1 + taken), timestamp=taken, step=taken)
        taken, longest = taken + 1, max(longest, time.monotonic() - asked)
        time.sleep(0.2)
    found = {metric.step for metric in client.get_metric_history(run, "loss")}
    client.set_terminated(run)
    return {"taken": taken, "lost": len(set(range(taken)) - found), "longest": round(longest, 1)}


def digest(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def upload(size: str) -> dict[str, Any]:
    """Seconds up and down, and whether the bytes are the same."""
    client = MlflowClient()
    run = new_run(client)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, FILE)
        with open(file, "wb") as content:
            for _ in range(int(size)):
                content.write(os.urandom(MEBIBYTE))
        begun = time.monotonic()
        client.log_artifact(run, str(file))
        sent = time.monotonic()
        got = Path(download_artifacts(run_id=run, artifact_path=FILE, dst_path=f"{folder}/down"))
        times = {"up": round(sent - begun, 1), "down": round(time.monotonic() - sent, 1)}
        return {"run": run, "sha256": digest(file), "equal": digest(file) == digest(got), **times}


def fetched(run: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return {"sha256": digest(Path(download_artifacts(run_id=run, artifact_path=FILE, dst_path=folder)))}


def delete(run: str) -> dict[str, Any]:
    MlflowClient().delete_run(run)
    return {"deleted": run}


def create() -> dict[str, Any]:
    """`created`: what the server said that it had made; `unknown`: where it said that it does not know; `lost`: of the
    first those that are not there; `doubled`: of both those that are there twice."""
    client, ended, creator = MlflowClient(), threading.Event(), uuid.uuid4().hex
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    parent = client.create_run(experiment).info
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    makers = {
        "run": lambda tags: client.create_run(experiment, tags=tags),
        "version": lambda tags: client.create_model_version(
            MODEL, f"{parent.artifact_uri}/model", parent.run_id, tags, await_creation_for=None
        ),
    }
    created: set[str] = set()
    unknown: set[str] = set()
    number = 0
    while not ended.is_set():
        for kind, make in makers.items():
            name = f"{kind} {number}"
            try:
                make({"creator": creator, "name": name})
                created.add(name)
            except MlflowException as error:
                if "may be done or not" not in str(error):
                    raise
                unknown.add(name)
        number += 1
        print(f"made {number}", file=sys.stderr, flush=True)
    mine = f"tags.creator = '{creator}'"
    runs = client.search_runs([experiment], mine, max_results=5000)
    versions = client.search_model_versions(f"name = '{MODEL}' and {mine}", max_results=5000)
    there = Counter([run.data.tags["name"] for run in runs] + [version.tags["name"] for version in versions])
    return {
        "created": len(created),
        "unknown": sorted(unknown),
        "lost": sorted(created - set(there)),
        "doubled": sorted(name for name, times in there.items() if times > 1),
    }


def transfer(size: str, clients: str) -> dict[str, Any]:
    stop, counts, errors = threading.Event(), [0] * int(clients), []

    def log(number: int) -> None:
        client = MlflowClient()
        run = new_run(client)
        while not stop.is_set():
            try:
                client.log_metric(run, "loss", 0.5, step=counts[number])
                counts[number] += 1
            except Exception as error:
                errors.append(str(error)[:300])
            stop.wait(0.3)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    try:
        result = upload(size)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return {**result, "logged": counts, "errors": errors}


VERBS: dict[str, Callable[..., dict[str, Any]]] = {
    "record": record,
    "transfer": transfer,
    "upload": upload,
    "hash": fetched,
    "delete": delete,
    "create": create,
}


def main() -> None:
    verb, *words = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        result = VERBS[verb](*words)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
