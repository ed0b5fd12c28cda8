"""The jobs and the DAGs, to their buckets."""

import json
from typing import Any

from dags.retraining.patience import FRESH
from stack.cloud.account import Account
from stack.cloud.outputs import Outputs
from stack.common import release
from stack.common.console import say, step


def upload_code(account: Account, outputs: Outputs, stack: str, schedule: str | None) -> str:
    """Uploads the jobs and the DAGs; returns the jobs' release.

    Args:
        stack: the deployment's name, by which the DAGs find what is theirs.
        schedule: the DAG's; None: what was deployed stays.
    """
    with step("jobs and DAGs"):
        s3, buckets = account.object_store(FRESH), outputs.buckets
        uploaded = release.upload_jobs(s3, buckets.jobs)
        say(f"  jobs: s3://{buckets.jobs}/{uploaded}")
        told = deployed(s3, buckets.dags) | {"stack": stack} | ({"schedule": schedule} if schedule else {})
        dags = release.dag_files(told)
        release.upload_dags(s3, buckets.dags, dags)
        say(f"  DAGs: s3://{buckets.dags}/dags, {len(dags)} files; schedule: {told.get('schedule', 'the default')}")
    return uploaded


def deployed(s3: Any, bucket: str) -> dict[str, str]:
    """What the DAGs were told before: the one place that remembers it, whoever deploys from wherever."""
    try:
        return dict(json.loads(s3.get_object(Bucket=bucket, Key=release.DAG_SETTINGS)["Body"].read()))
    except s3.exceptions.NoSuchKey:
        return {}
