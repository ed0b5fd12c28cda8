"""`make lint` scans terraform/; here the scanner sees what it must name."""

import json
import subprocess

import pytest

from stack.common.envs import python_of
from tests.terraform.running import MODULE, change, copy_of


def test_the_scanner_notices() -> None:
    """`make lint` runs the scanner on terraform/; here it sees two faults that it must name."""
    scanner = python_of("terraform-lint").parent / "checkov"
    if not scanner.exists():
        pytest.skip("the scanner is not installed: python3 -m stack.common.envs terraform-lint")
    with copy_of(MODULE) as copy:
        change(copy / "machines.tf", "= each.value.public\n", "= true\n")
        change(copy / "storage.tf", "server_side_encryption_configuration {", "unknown {")
        flags = ["--framework", "terraform", "--skip-download", "--compact", "--output", "json"]
        done = subprocess.run([scanner, "--directory", copy, *flags], capture_output=True, text=True, timeout=300)
    failed = {check["check_id"] for check in json.loads(done.stdout)["results"]["failed_checks"]}
    assert failed == {"CKV_YC_2", "CKV_YC_3"}, "a public address and a bucket without encryption should be named"
    assert done.returncode == 1
