"""The tutorial's commands, typed as they stand there at a demo whose cycles are done."""

import shlex
from typing import Any

from stack.common.envs import ROOT
from tests.lint.test_documents import commands_of
from tests.stack.demo import Demo
from tests.support import VERIFY

COMMANDS = [line for line in commands_of(ROOT / "docs" / "tutorial.md") if line]
OWN = {"demo", "demo-stop", "demo-clean"}  # what the tests before and after this one have typed


def typed(stack: Demo, command: str) -> Any:
    make, target, *words = shlex.split(command)
    assert make == "make"
    return stack.make(target, **dict(word.split("=", 1) for word in words))


def test_it_is_walked_from_its_beginning_to_its_end() -> None:
    walk = "demo demo status history rollback history demo-stop demo-clean"
    assert [shlex.split(line)[1] for line in COMMANDS] == walk.split()


def test_each_step_says_what_the_tutorial_says(stack: Demo, cycled: None) -> None:
    before = stack.aliases()
    for command in COMMANDS:
        target = shlex.split(command)[1]
        if target in OWN:
            continue
        if target == "rollback" and VERIFY:
            continue  # there is somewhere to go back to: test_two_weeks.py has gone
        done = typed(stack, command)
        if target == "status":
            assert "ok serving" in done.stdout
        elif target == "history":
            assert stack.last()["decision"]["reason"] in done.stdout
        else:  # "so it refuses after the first week"
            assert done.returncode != 0
            assert "may serve again: say which version to go to" in done.stdout + done.stderr
    assert stack.aliases() == before
