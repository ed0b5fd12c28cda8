"""What must hold on this machine before the demo starts, and what a person may ask of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.common import envs
from stack.common.errors import StackError
from stack.local import preflight


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_named_before_anything_starts(tmp_path: Path) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.decode().strip()}")
    try:
        command = [sys.executable, "-m", "stack", "demo", "--state", str(tmp_path / "demo")]
        run = subprocess.run(command, capture_output=True, text=True, cwd=envs.ROOT)
        assert run.returncode == 1
        assert "0.0 GiB free, 2 GiB are needed" in run.stderr
        assert "STATE=" in run.stderr
        assert "Traceback" not in run.stderr
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_too_little_room_names_the_folder_and_the_variable(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=rf"{tmp_path}.*GiB free.*make demo STATE="):
        preflight.require_disk(tmp_path / "deep" / "er", 1 << 60, "`make demo STATE=…`")


@pytest.mark.parametrize("weeks", ["0", "-1"])
def test_a_senseless_number_of_weeks_is_refused(weeks: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stack", "demo", "--state", str(tmp_path), f"--weeks={weeks}"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=envs.ROOT)
    assert run.returncode == 1
    assert f"WEEKS={weeks}: a whole number from 1 on is expected" in run.stderr
