"""Scripts that need what only an image has (MLflow's client, XGBoost, Parquet), run by image 2.2's Python."""

import os
import subprocess
from pathlib import Path

from stack.common.envs import ROOT, python_of


def run(script: Path, *arguments: str, **environment: str) -> str:
    """What the script prints."""
    told = os.environ | {"PYTHONPATH": f"{ROOT / 'spark_app'}:{ROOT}", **environment}
    command = [python_of("spark-image-2.2"), script, *arguments]
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
