"""What is remembered of each unit, in a file of its own: when it last succeeded and failed, why, and who was told.

Times are seconds since 1970.
"""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("MONITORING_STATE", "/var/lib/monitoring"))
Memory = dict[str, Any]


def recall(unit: str) -> Memory:
    """Empty if nothing is known."""
    file = FOLDER / f"{unit}.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def remember(unit: str, known: Memory) -> None:
    new = FOLDER / f".{unit}.new"
    new.write_text(json.dumps(known) + "\n")
    new.chmod(0o644)
    new.replace(FOLDER / f"{unit}.json")
