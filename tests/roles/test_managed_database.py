"""Where the database is managed there is no group `database`, and the machine is set up all the same."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support import ROOT

TOOLS = Path(sys.executable).parent


def test_the_database_s_authority_is_asked_of_no_machine(tmp_path: Path) -> None:
    """ansible-core looks at `delegate_to` before it looks at `when`."""
    task = yaml.safe_load((ROOT / "roles" / "mlflow" / "tasks" / "configure.yml").read_text())[0]
    assert "delegate_to" in task
    play = {"hosts": "mlflow", "connection": "local", "gather_facts": False, "tasks": [task]}
    playbook, inventory = tmp_path / "play.yml", tmp_path / "hosts"
    playbook.write_text(yaml.safe_dump([play | {"vars": {"mlflow_database_ca": "of the service"}}]))
    inventory.write_text("[mlflow]\nmlflow-vm\n")
    done = subprocess.run(
        [TOOLS / "ansible-playbook", f"--inventory={inventory}", playbook],
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped=1" in done.stdout
