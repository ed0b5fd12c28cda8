"""A disk of data is deleted on request only: Terraform itself refuses, with a sentence that says what to do."""

from pathlib import Path

from tests.terraform.running import change, copy_of, only_runs, printed, terraform

FIRST = "data_have_a_disk_of_their_own"
TO_MANAGED = 'database = { kind = "managed" }'
TAKEN_AWAY = """
run "taken_away" {
  variables {
    %s
  }
}
"""
REQUESTED = """
run "requested" {
  variables {
    protect = false
  }
}
"""


def run(module: Path, *runs: str) -> tuple[int, str]:
    """Status and words of `terraform test` with the first run of disks.tftest.hcl and then these."""
    with copy_of(module) as copy:
        tests = copy / "tests/disks.tftest.hcl"
        tests.write_text("\n".join((only_runs(tests.read_text(), f'^run "{FIRST}"'), *runs)))
        done = terraform(copy, "test", "-no-color", f"-filter=tests/{tests.name}")
        return done.returncode, " ".join(printed(done).split())


def test_a_protected_disk_stays(module: Path) -> None:
    status, said = run(module, TAKEN_AWAY % TO_MANAGED)
    assert status
    assert "The disk fraud-database-data has data and is protected, so it stays." in said
    assert "terraform apply -var=protect=false" in said


def test_a_disk_goes_once_protection_is_lifted(module: Path) -> None:
    status, said = run(module, REQUESTED, TAKEN_AWAY % 'protect = false\n    database = { kind = "managed" }')
    assert status == 0, said


def test_what_protects_is_needed(module: Path) -> None:
    """Without the provisioner the disk goes, and nobody is told."""
    with copy_of(module) as broken:
        change(broken / "machines.tf", 'self.labels["protected"] != "true"', "true")
        status, said = run(broken, TAKEN_AWAY % 'database = { kind = "managed" }')
    assert status == 0, said
