"""What a killed command has left behind: Terraform's lock on the remote state."""

import getpass
import json
import socket
import time
from typing import Any

from botocore.exceptions import ClientError

from stack.cloud.deployment import Deployment
from stack.cloud.programs import await_former
from stack.cloud.terraform import Terraform
from stack.common.console import say
from stack.common.errors import StackError

STATE_KEY = "fraud-retraining.tfstate"
LOCK_KEY = f"{STATE_KEY}.tflock"


def release_stale_lock(deployment: Deployment, terraform: Terraform, s3: Any, bucket: str) -> None:
    """Takes away the lock that our own killed Terraform has left on the remote state.

    Raises:
        StackError: the lock is somebody else's; with who it is and since when.
    """
    try:
        lock = json.loads(s3.get_object(Bucket=bucket, Key=LOCK_KEY)["Body"].read())
    except ClientError as problem:
        if problem.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return
        raise
    await_former(deployment, "Terraform")
    began = deployment.load("terraform-lock", {"since": time.time()})["since"]
    ours = lock["Who"] == f"{getpass.getuser()}@{socket.gethostname()}"
    if not ours or lock["Created"] < time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began)):
        raise StackError(
            f"The state is locked by {lock['Who']} since {lock['Created']} ({lock['Operation']}). Wait for that; "
            f"if it has died: `terraform -chdir={terraform.path} force-unlock {lock['ID']}`."
        )
    say(f"the lock {lock['ID']} was left by our Terraform, which was killed: taking it away")
    terraform.run("force-unlock", "-force", lock["ID"])
