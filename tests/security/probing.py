"""What the probes share: how an attack is seen to have failed, and the prizes."""

import os

from tests.support.mlflow_server import Answer


def leaks(answer: Answer) -> bool:
    return b"root:x:0:0" in answer.body


def refused(answer: Answer, *more: int) -> bool:
    return answer.status in (400, 401, 403, 404, 405, 421, *more)


def name(prefix: str) -> str:
    return f"{prefix}-{os.urandom(4).hex()}"
