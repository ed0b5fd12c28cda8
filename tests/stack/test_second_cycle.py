"""The second cycle: news arrive, a champion is there, and what a person may ask of a demo that is done."""

import contextlib
import shutil
from html import escape
from typing import Any

import psutil
import pytest

from stack.local import supervisor
from tests.stack.browser import shoot
from tests.stack.demo import DAYS, WIDTH, Demo

pytestmark = pytest.mark.verify


def test_it_is_decided_on_merit(stack: Demo, second: Any) -> None:
    assert second.returncode == 0, second.stdout + second.stderr
    print(second.stdout)
    decision = stack.last()["decision"]
    assert decision["champion"]["metrics"]["average_precision"] > 0
    assert decision["comparison"] is not None
    assert decision["action"] in ("promote", "keep")
    before = str(decision["champion"]["version"])
    champion = str(decision["winner"]) if decision["action"] == "promote" else before
    assert stack.aliases()["champion"] == champion
    assert decision["reason"][:40] in second.stdout


def test_the_card_is_whole(stack: Demo, second: Any, page: Any) -> None:
    """A frame that is nowhere broken, with who serves in it; its picture stands in the README."""
    card = second.stdout[second.stdout.index("\u256d") :].rstrip()
    assert {len(line) for line in card.splitlines()} <= {WIDTH, len(card.splitlines()[0])}
    assert f"fraud version {stack.aliases()['champion']}" in card
    place = f"{stack.state.folder}/secrets.json)"
    shown = escape(card.replace(place, ".demo/secrets.json)".ljust(len(place))))
    style = "display: inline-block; margin: 0; padding: 12px; font: 15px monospace"
    page.set_content(f"<body style='margin: 0'><pre style='{style}'>$ make demo WEEKS=2\n{shown}</pre>")
    box = page.locator("pre").bounding_box()
    page.set_viewport_size({side: round(box[side]) for side in ("width", "height")})
    shoot(page, "card")


def test_new_data_started_it(stack: Demo, second: Any) -> None:
    assert stack.run(stack.last()["run_id"])["run_type"] in ("asset_triggered", "scheduled")
    used = {key.rsplit("/", 1)[1] for key in stack.objects("lake", "retrained/")}
    assert len(used) == len(DAYS)


def test_it_prepared_only_what_was_new(stack: Demo, second: Any) -> None:
    run = stack.last()["decision"]["run_id"]
    newest = sorted(path.name for path in stack.lake.iterdir())[-1]
    assert stack.read(f"runs/{run}/prepare.json")["files"] == [newest]


def test_no_secret_is_in_a_log_or_among_arguments(stack: Demo, second: Any) -> None:
    secrets = {name: value for name, value in stack.state.secrets.items() if "public" not in name}
    folders = ("logs", "airflow/logs", "cloud/clusters")
    logs = [path for name in folders for path in (stack.state.folder / name).rglob("*") if path.is_file()]
    assert len(logs) > 20
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [name for name, value in secrets.items() if value in text], path
    root = psutil.Process(supervisor.process_id(stack.state))
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            arguments = " ".join(process.cmdline())
            assert not [name for name, value in secrets.items() if value in arguments], arguments


def test_a_demo_that_is_done_says_so_and_changes_nothing(stack: Demo, second: Any) -> None:
    aliases, runs = stack.aliases(), stack.run_ids()
    again = stack.demo(2)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 cycles are done already: `make demo WEEKS=3` adds one" in again.stdout
    assert stack.aliases() == aliases
    assert stack.run_ids() == runs


def test_a_demo_with_other_data_is_refused(stack: Demo, second: Any) -> None:
    lake = stack.lake.parent / "another lake"
    lake.mkdir()
    shutil.copy(next(stack.lake.iterdir()), lake)
    other = stack.make("demo", WEEKS=3, FRAUD_LAKE=lake)
    assert other.returncode != 0
    assert "was begun with data from" in other.stderr
