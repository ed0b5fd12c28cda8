"""The jobs and the DAGs, to their buckets."""

from stack.cloud.account import Account
from stack.cloud.outputs import Outputs
from stack.common import release
from stack.common.console import say, step


def upload_code(account: Account, outputs: Outputs, schedule: str) -> str:
    """Uploads the jobs and the DAGs; returns the jobs' release."""
    with step("jobs and DAGs"):
        s3, buckets = account.object_store(), outputs.buckets
        uploaded = release.upload_jobs(s3, buckets.jobs)
        say(f"  jobs: s3://{buckets.jobs}/{uploaded}")
        dags = release.dag_files(schedule)
        release.upload_dags(s3, buckets.dags, dags)
        say(f"  DAGs: s3://{buckets.dags}/dags, {len(dags)} files")
    return uploaded
