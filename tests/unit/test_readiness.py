"""What readiness tells of a setting, beside what it refuses (tests/bootstrap)."""

from pathlib import Path
from typing import Any

import pytest

from stack.cloud import readiness
from stack.cloud.deployment import Deployment


@pytest.mark.parametrize(
    ("dataproc", "said"),
    [
        (None, "2.1, Spark 3.3.2"),
        ({"compute_count": 3}, "2.1, Spark 3.3.2"),
        ({"image": "2.2"}, "2.2, beta and on request: ask the vendor's support"),
    ],
)
def test_an_image_that_must_be_asked_for_is_named(
    dataproc: dict[str, Any] | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "read_variables", lambda deployment, *names: {"dataproc": dataproc})
    told = readiness.tell_image(Deployment(tmp_path, tmp_path))
    assert told.startswith(said)
    assert ("Spark 3.5.6" in told) == (said.startswith("2.2"))
