"""`make test`: targets side by side, a table at the end, nothing hidden and nothing left running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT, lanes
from tests.support.lanes import Target

MAKEFILE = """\
good:
\t@echo "2 passed, 1 skipped in 0.10s"
bad:
\t@echo "the reason"; echo "1 failed, 3 passed in 0.10s"; exit 1
slow:
\t@sleep 60
apart:
\t@setsid --fork sh -c 'i=0; while [ $$i -lt 200000 ]; do i=$$((i+1)); done; touch "$(DONE)"'
\t@until [ -e '$(DONE)' ]; do sleep 0.05; done
"""
LANES = """\
[lists]
both = ["good", "@bad"]
bad = ["bad"]
slow = ["slow"]
apart = ["apart DONE='it is done'"]
[targets]
bad = {minutes = 2, needs = ["ports"]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "lanes.toml").write_text(LANES)
    (tmp_path / "Makefile").write_text(MAKEFILE)
    monkeypatch.setattr(lanes, "ROOT", tmp_path)
    monkeypatch.setattr(lanes, "LOGS", tmp_path / "logs")
    return tmp_path


def test_a_failure_is_shown_and_counted_and_stops_no_other(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lanes", "both"])
    assert lanes.main() == 1
    printed = capsys.readouterr().out
    assert "the reason" in printed
    assert "good passed" in printed
    assert printed.splitlines()[-1] == "5 passed, 1 failed"


def test_lists_include_lists_and_the_longest_begins_first(project: Path) -> None:
    assert [each.name for each in lanes.read("both")] == ["bad", "good"]


def test_the_time_of_what_has_left_the_tree_counts(project: Path) -> None:
    """What a target detaches (a demo, machines) is most of what it costs."""
    (target,) = lanes.read("apart")
    assert target.log == project / "logs" / "apart_DONE=_it_is_done_.log"
    target.log.parent.mkdir()
    lanes.run([target])
    if not target.group:
        pytest.skip("no control group can be made here")
    assert not target.failed, target.log.read_text()
    assert target.processor > 0.05


def test_an_unknown_list_is_named_with_those_that_there_are(project: Path) -> None:
    with pytest.raises(SystemExit, match="no list `tset`; it has both, bad, slow, apart"):
        lanes.read("tset")


def test_what_one_holds_no_other_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    holder, other = Target("a", needs=frozenset({"lab"})), Target("b", memory=0, needs=frozenset({"lab"}))
    assert not lanes.may_begin(other, [holder])
    assert lanes.may_begin(other, [])
    assert lanes.may_begin(Target("c", memory=0), [holder])
    monkeypatch.setattr(lanes, "LANES", 1)
    assert not lanes.may_begin(Target("c", memory=0), [holder])


def test_a_target_waits_for_its_memory() -> None:
    assert not lanes.may_begin(Target("huge", memory=1 << 20), [Target("a")])
    assert lanes.may_begin(Target("huge", memory=1 << 20), []), "alone it is tried whatever it takes"


def test_who_ends_the_run_ends_what_it_started(project: Path) -> None:
    # The lists of this repository are not for this: the module is pointed at the project of the test.
    code = f"from pathlib import Path; from tests.support import lanes; lanes.ROOT = Path({str(project)!r}); "
    code += "lanes.LOGS = lanes.ROOT / 'logs'; import sys; sys.argv = ['lanes', 'slow']; sys.exit(lanes.main())"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if "slow begins" in line:
            break
    time.sleep(0.3)
    child = int(subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()[0])
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
