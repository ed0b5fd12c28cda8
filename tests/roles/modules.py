"""Modules of roles/files, called as Ansible calls them on a machine, in this process."""

import contextlib
import importlib.util
import io
import json
import sys
from typing import Any

from ansible.module_utils.testing import patch_module_args

from tests.support import ROOT


def called(
    name: str, check: bool = False, fails: bool = False, constants: dict[str, Any] | None = None, **given: Any
) -> dict[str, Any]:
    """What the module says; `fails`: that it must refuse; `constants` replace some of its own."""
    spec = importlib.util.spec_from_file_location(f"module_{name}", ROOT / f"roles/files/library/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update(constants or {})
    said = io.StringIO()
    arguments = given | {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": "/tmp"}
    with patch_module_args(arguments), contextlib.redirect_stdout(said):
        try:
            module.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    assert (status != 0) == fails, said.getvalue()
    print(said.getvalue(), file=sys.stderr)
    told: dict[str, Any] = json.loads(said.getvalue())
    return told
