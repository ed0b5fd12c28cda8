"""`make board` against GitHub's own schema: what it asks is valid, and the second walk changes nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from stack.board import changes, github, queries, tasks
from stack.board.github import GitHub
from stack.board.there import look
from stack.common.envs import ROOT
from stack.common.errors import StackError
from tests.board.server import World, serving

SCHEMA = ROOT / ".envs" / "schema-of-github" / "node_modules" / "@octokit" / "graphql-schema" / "schema.graphql"
FILE = """
title: Fraud
owner: somebody
repository: somebody/fraud
done: [Done]
fields:
  Area: [Data, Model]
tasks:
  - {id: features, title: Features, status: Todo, parent: model, fields: {Area: Model}}
  - {id: model, title: A model, status: In Progress, text: The one that serves.}
  - {id: lake, title: The lake, status: Done, fields: {Area: Data}}
  - {id: clean, title: Cleaning, status: Todo, split_from: lake}
  - {id: wash, title: Washing, status: Todo, merged_into: clean}
"""


@cache
def schema() -> GraphQLSchema:
    if not SCHEMA.exists():
        pytest.skip(f"GitHub's schema is missing ({SCHEMA}): `make test-board` brings it, by npm")
    return build_schema(SCHEMA.read_text(), assume_valid=True)


@dataclass
class Walk:
    """`make board` by a file against a GitHub."""

    world: World
    address: str
    file: Path
    waited: list[float]

    def plan(self, text: str = "") -> list[changes.Change]:
        if text:
            self.file.write_text(text)
        board = tasks.read(self.file)
        client = GitHub("a-token", self.address, between=0, sleep=self.waited.append)
        return changes.plan(client, board, look(client, board))

    def said(self, text: str = "") -> list[str]:
        return [each.what for each in self.plan(text)]

    def bring(self, text: str = "") -> list[str]:
        told: list[str] = []
        changes.bring(self.plan(text), told.append)
        return told


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    file = tmp_path / "board.yml"
    file.write_text(FILE)
    world = World(schema())
    with serving(world) as address:
        yield Walk(world, address, file, [])


@pytest.mark.parametrize("name", queries.ALL)
def test_what_is_asked_is_valid_by_the_schema(name: str) -> None:
    assert validate(schema(), parse(queries.ALL[name])) == []


def test_the_whole_walk_and_the_second_one_changes_nothing(walk: Walk) -> None:
    first = walk.said()
    assert "make the project `Fraud` of somebody" in first
    assert not walk.world.of("Issue"), "a plan does nothing"
    assert len(walk.bring()) == len(first)
    assert walk.world.board() == {
        "Features": {"Status": "Todo", "Area": "Model"},
        "A model": {"Status": "In Progress"},
        "The lake": {"Status": "Done", "Area": "Data"},
        "Cleaning": {"Status": "Todo"},
        "Washing": {"Status": "Todo"},
    }
    issue = walk.world.issue
    assert issue("Features")["parent"]["title"] == "A model"
    assert (issue("The lake")["state"], issue("The lake")["stateReason"]) == ("CLOSED", "COMPLETED")
    assert (issue("Washing")["stateReason"], issue("Washing")["same"]) == ("DUPLICATE", issue("Cleaning")["id"])
    assert f"Split into #{issue('Cleaning')['number']}." in issue("The lake")["body"]
    assert f"Split from #{issue('The lake')['number']}." in issue("Cleaning")["body"]
    assert f"Merged into #{issue('Cleaning')['number']}." in issue("Washing")["body"]
    assert walk.said() == []


def test_only_what_differs_is_changed(walk: Walk) -> None:
    walk.bring()
    assert walk.said(FILE.replace("title: A model, status: In Progress", "title: The model, status: Done")) == [
        "`The model`: title and text",
        "`The model`: Status = Done",
        "`The model`: close",
    ]
    lake = walk.world.issue("The lake")
    lake["body"] = lake["body"].replace("Split into", "Not split into") + "\r\n\r\nSomebody wrote this."
    assert walk.bring(FILE) == ["1/1  `The lake`: title and text"]
    assert "\nSplit into" in lake["body"]
    assert lake["body"].endswith("\nSomebody wrote this."), "what people write below stays"
    assert walk.said(FILE.replace("status: Done", "status: Todo"))[-1] == "`The lake`: open again"


def test_what_others_have_on_the_board_stays(walk: Walk) -> None:
    walk.bring()
    project = walk.world.of("ProjectV2")[0]
    others = walk.world.createIssue({"title": "Features", "body": "Of somebody else."})["issue"]
    walk.world.make_item(project, others)
    walk.world.make_item(project, walk.world.keep("PullRequest"))
    assert walk.said() == []
    # What is on the board and not in the file any more is left alone, too.
    assert walk.said(FILE.replace("  - {id: wash, title: Washing, status: Todo, merged_into: clean}\n", "")) == []


def test_a_walk_that_is_cut_off_anywhere_is_gone_on_with(walk: Walk) -> None:
    everything = len(walk.plan())
    for done in range(everything):
        rest = walk.plan()
        if not rest:
            break
        rest[0].do()
        assert done < everything
    assert walk.said() == []
    assert len(walk.world.of("Issue")) == len({each["title"] for each in walk.world.of("Issue")}) == 5
    assert len(walk.world.of("ProjectV2")) == 1


def test_more_than_a_page_of_everything(walk: Walk) -> None:
    many = FILE + "".join(f"  - {{id: task-{n}, title: Task {n}, status: Todo}}\n" for n in range(120))
    walk.bring(many)
    assert len(walk.world.board()) == 125
    assert walk.said() == []


def test_drafts_where_there_is_no_repository(walk: Walk) -> None:
    text = FILE.replace("repository: somebody/fraud\n", "")
    walk.bring(text)
    assert walk.world.of("Issue") == []
    assert walk.world.board()["Features"] == {"Status": "Todo", "Area": "Model"}
    assert walk.said() == []


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ((403, {"Retry-After": "30"}, {"message": "secondary rate limit"}), 30),
        ((429, {"Retry-After": "7"}, {}), 7),
        ((502, {}, {}), 2),
        ((200, {}, {"data": None, "errors": [{"type": "RATE_LIMITED", "message": "exceeded"}]}), 60),
    ],
)
def test_it_waits_as_long_as_github_asks(walk: Walk, fault: tuple[int, dict[str, str], Any], seconds: float) -> None:
    walk.world.faults = [fault]
    assert walk.said()
    assert [each for each in walk.waited if each] == [seconds]


def test_a_long_limit_is_told_and_not_waited_for(walk: Walk) -> None:
    walk.world.faults = [(403, {"Retry-After": "3600"}, {})]
    with pytest.raises(StackError, match=r"it was asked too often, until \d\d:\d\d UTC.*goes on from here"):
        walk.plan()
    assert walk.waited == []
    walk.world.remaining = 0  # the limit as the answer itself tells it
    with pytest.raises(StackError, match="its hourly limit is used up"):
        walk.plan()


def test_one_that_stays_away_is_given_up(walk: Walk) -> None:
    walk.world.faults = [(502, {}, {})] * github.ATTEMPTS
    with pytest.raises(StackError, match="it answers 502, 6 times"):
        walk.plan()


def test_a_change_of_which_nobody_knows_is_not_made_again(walk: Walk) -> None:
    changes.bring(walk.plan()[:2], lambda _: None)
    rest = walk.plan()
    walk.world.createIssue({"title": "Made", "body": tasks.read(walk.file).tasks[0].mark})  # and its answer is lost
    walk.world.faults = [(502, {}, {})]
    with pytest.raises(StackError, match="it answers 502, to a change that may be done or not"):
        rest[0].do()
    walk.bring()
    assert len(walk.world.of("Issue")) == 5
    assert walk.said() == []


def test_changes_are_a_second_apart(walk: Walk) -> None:
    times = iter([10.0, 10.0, 10.25, 12.0, 14.0, 14.0])  # asked before and after each change
    client = GitHub("a-token", walk.address, sleep=walk.waited.append, clock=lambda: next(times))
    for _ in range(3):
        client.ask(queries.MAKE_ISSUE, repository="R1", title="x", body="y")
    assert walk.waited == [0, 0.75, 0]


def test_a_token_that_is_none_is_not_tried_again(walk: Walk) -> None:
    client = GitHub("another", walk.address, between=0, sleep=walk.waited.append)
    with pytest.raises(StackError, match=r"does not take the token \(401\)"):
        client.ask(queries.OWNER, owner="somebody")
    assert walk.waited == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scopes": "repo"}, r"needs the scopes project and repo \(it has repo\): `gh auth refresh"),
        ({"scopes": ""}, r"\(it has none\)"),
        ({"owner": "nobody"}, "somebody is neither a user nor an organisation"),
        ({"repository": "somebody/else"}, "Could not resolve to a Repository with the name 'somebody/fraud'"),
    ],
)
def test_what_the_token_may_not_do_is_said(tmp_path: Path, change: dict[str, str], message: str) -> None:
    file = tmp_path / "board.yml"
    file.write_text(FILE)
    world = World(schema(), **change)
    with serving(world) as address, pytest.raises(StackError, match=message):
        Walk(world, address, file, []).plan()


def test_a_choice_that_a_field_has_not_is_refused_before_anything_is_made(walk: Walk) -> None:
    """GitHub would replace all choices, and forget what was chosen."""
    walk.bring()
    with pytest.raises(StackError, match="field Status has no Blocked; it has Todo, In Progress, Done"):
        walk.plan(FILE.replace("status: Todo, parent", "status: Blocked, parent"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "a mapping is expected, and it is list"),
        ("{title: x, owner: y, tasks: z}", "`tasks` is to be a list"),
        ("{title: x, owner: y, tasks: [{id: a, title: A}]}", "task a lacks status"),
        ("{title: x, owner: y, tasks: [{id: a, title: A, status: T, colour: red}]}", "task a has colour, which nobody"),
        ("{title: x, owner: y, tasks: [{id: a, title: A, status: T, parent: b}]}", "task a: parent b is no task"),
        ("{title: x, owner: y, tasks: [{id: a, title: A, status: T, parent: a}]}", "its parents go in a circle"),
        ("{title: x, owner: y, tasks: [{id: a, title: A, status: T, fields: {Q: r}}]}", "Q r is not among any"),
        ("title: [", "is no YAML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "board.yml"
    file.write_text(text)
    with pytest.raises(StackError, match=message):
        tasks.read(file)


def test_ids_that_are_there_twice(tmp_path: Path) -> None:
    file = tmp_path / "board.yml"
    file.write_text(FILE + "  - {id: lake, title: Again, status: Todo}\n")
    with pytest.raises(StackError, match="ids are there twice: lake"):
        tasks.read(file)


def test_our_own_board_is_one() -> None:
    board = tasks.read(ROOT / "docs" / "board.yml")
    assert {task.status for task in board.tasks} <= {"Todo", "In Progress", "Done"}


def test_the_command_says_what_it_would_do_and_does_it(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def board(*options: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "stack", "board", f"--file={walk.file}", *options]
        return subprocess.run(command, cwd=ROOT, env=os.environ | more, capture_output=True, text=True)

    done = board()
    assert done.returncode == 1
    assert "Neither GITHUB_TOKEN nor GH_TOKEN is set" in done.stderr
    here = {"GH_TOKEN": "a-token", "GITHUB_GRAPHQL_URL": walk.address}
    assert "`make board APPLY=1` does them" in board(**here).stdout
    assert walk.world.of("ProjectV2") == []
    small = "title: Fraud\nowner: somebody\ntasks: [{id: a, title: A, status: Todo}]\n"
    walk.file.write_text(small)
    assert "3 changes done" in board("--apply", **here).stdout
    again = board(**here)
    assert "everything is as" in again.stdout
    assert "a-token" not in again.stdout + again.stderr
