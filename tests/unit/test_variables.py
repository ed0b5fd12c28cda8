"""What a person says to make is done or refused: no variable is lost, and no value is taken for another one."""

import re
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from stack.cli import run
from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.local import demo
from stack.local.state import State
from tests.support.processes import as_typed

SAID = as_typed()
NEVER = {"CURDIR", "MAKE", "MAKECMDGOALS", "MAKEFILE_LIST"}


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """What make would do, without doing it."""
    return subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, env=SAID)


@pytest.mark.skipif(not shutil.which("make"), reason="make is missing")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo", "WEEK=2"), "make demo takes no WEEK; it takes STATE WEEKS PORT"),
        (("cost", "SCHEDULE=0 6 * * 1"), "make cost takes no SCHEDULE; it takes CLOUD MIRROR MINUTES RUNS"),
        (("demo-stop", "CLOUD=.x"), "make demo-stop takes no CLOUD; it takes STATE"),
        (("help", "K=x"), "make help takes no K; it takes nothing but PYTHON"),
        (("bootstrap", "FORCE=0"), "FORCE=0: FORCE=1 is expected, or nothing"),
        (("destroy", "YES=no"), "YES=no: YES=1 is expected, or nothing"),
    ],
)
def test_what_a_target_does_not_take_is_refused(words: tuple[str, ...], said: str) -> None:
    done = make(*words)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.skipif(not shutil.which("make"), reason="make is missing")
@pytest.mark.parametrize(
    "words", [("demo", "WEEKS=2", "PYTHON=python3"), ("lint", "test", "VERIFY=1"), ("bench", "FULL=1")]
)
def test_what_it_takes_is_taken(words: tuple[str, ...]) -> None:
    assert make(*words).returncode == 0


def test_every_variable_that_a_recipe_reads_can_be_said() -> None:
    files = [ROOT / "Makefile", *sorted((ROOT / "make").glob("*.mk"))]
    text = "\n".join(file.read_text() for file in files if file.name != "variables.mk")
    read = set(re.findall(r"\$\((?:if \$\(|or \$\()?([A-Z][A-Z_]+)\b", text))
    own = set(re.findall(r"^([A-Z][A-Z_]+) *[:?]?=", text, re.M)) - {"STATE", "CLOUD", "IMAGE", "PYTHON"}
    takes = re.findall(r"^(?:TAKES_\S+|OF_TESTS) := (.*)$", (ROOT / "make" / "variables.mk").read_text(), re.M)
    assert {"WEEKS", "MINUTES", "AS_OF", "SCENARIO"} <= read
    assert read - own - NEVER - {"PYTHON", "AIRFLOW"} - set(" ".join(takes).split()) == set()


@pytest.mark.skipif(not shutil.which("make"), reason="make is missing")
@pytest.mark.parametrize("day", ["abc", "2018-13-01", "20180701", "2018-W26-7", "2018-7-1"])
def test_a_day_that_is_none_is_refused_before_anything_is_made(day: str) -> None:
    done = subprocess.run(
        ["make", "evaluate", "LAKE=/nowhere", f"AS_OF={day}", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=SAID,
    )
    assert done.returncode == 2
    assert f"AS_OF={day}: a day YYYY-MM-DD is expected" in done.stderr
    assert "environment" not in done.stdout


# ------------------------------------------------------------------------------------------------ values
@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["demo", "--weeks", "two"], "WEEKS=two: a whole number from 1 on is expected"),
        (["demo", "--port", "99999"], "PORT=99999: a port from 1024 to 65529 is expected"),
        (["demo", "--customers=0"], "CUSTOMERS=0: a whole number from 1 on is expected"),
        (["demo", "--seed=-1"], "SEED=-1: a whole number from 0 on is expected"),
        (["demo", "--image", "2.3"], "IMAGE=2.3: 2.1 or 2.2 is expected"),
        (["demo", "--engine", "spark"], "ENGINE=spark: local or yarn is expected"),
        (["demo", "--schedule", "hourly"], "SCHEDULE=hourly: a cron expression in UTC is expected"),
        (
            ["demo", "--lake-endpoint", "storage"],
            "FRAUD_LAKE_ENDPOINT=storage: an address of http or https is expected",
        ),
        (["clean", "--state", ""], "STATE=: a folder is expected (it is empty), such as `make demo-clean STATE="),
        (["destroy", "--state", " "], "CLOUD= : a folder is expected"),
        (["bootstrap", "--schedule", "0 6 * *"], "SCHEDULE=0 6 * *: a cron expression in UTC is expected"),
        (["bootstrap", "--only", "networks"], "ONLY=networks: network is expected"),
        (["bootstrap", "--adopt", "c9q"], "IMPORT=c9q: ADDRESS=ID is expected"),
        (["cost", "--minutes", "abc"], "MINUTES=abc: a number above 0 is expected"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_the_words_in_which_it_was_said(
    line: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stack", *line])
    assert run.main() == 1
    printed = capsys.readouterr().err
    assert said in printed
    assert "`make " in printed


def test_an_abbreviation_is_no_option() -> None:
    with pytest.raises(SystemExit):
        run.parser().parse_args(["demo", "--week", "2"])


def test_what_was_chosen_for_a_demo_holds_until_it_is_said_otherwise(tmp_path: Path) -> None:
    state = State(tmp_path)
    first = demo.Choices.of(state, demo.Options(tmp_path, image="2.1", seed=7, schedule="0 * * * *"))
    assert first == demo.Choices("2.1", None, demo.arrivals.PUBLIC_STORAGE, 5000, 7, "0 * * * *")
    state.save("choices", asdict(first))
    assert demo.Choices.of(state, demo.Options(tmp_path, weeks=2)) == first
    assert demo.Choices.of(state, demo.Options(tmp_path, seed=8)) == replace(first, seed=8)


def test_a_folder_that_is_no_demo_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(StackError, match="is no demo's folder"):
        demo.clean(State(tmp_path))
    assert (tmp_path / "precious").exists()
