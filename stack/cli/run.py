"""Runs the command that was typed, and says in one sentence what a person can do if it fails."""

import argparse
import errno
import logging
import sys
from pathlib import Path

from dags.retraining import patience
from stack.cli import board, cloud, local, running
from stack.common.console import say_indented
from stack.common.errors import StackError
from stack.common.options import add_options
from stack.lab.commands import run_inside

TARGETS = {"stop": "demo-stop", "clean": "demo-clean"}  # what make calls them
GROUPS = (local, running, cloud, board)
COMMANDS = {command.__name__.lower(): command for group in GROUPS for command in group.COMMANDS}


def parser() -> argparse.ArgumentParser:
    # Whole names only: an abbreviation would stand for one thing today and for another tomorrow.
    every = argparse.ArgumentParser(
        prog="stack", description="`python -m stack COMMAND`: what the Makefile calls.", allow_abbrev=False
    )
    commands = every.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.__doc__, description=command.__doc__, allow_abbrev=False)
        add_options(one, command, TARGETS.get(name, name))
    return every


def main() -> int:
    """The exit status: 0, 1 for what is wrong, 130 for Ctrl-C; a command may have its own (`status`)."""
    try:
        options = vars(parser().parse_args())
    except StackError as problem:
        print(f"{problem} Nothing was done.", file=sys.stderr)
        return 1
    command = COMMANDS[options.pop("command")](**options)
    group = next(each for each in GROUPS if isinstance(command, each.COMMANDS))
    patience.log.addHandler(Said())
    try:
        here = getattr(command, "of_this_host", None)
        result = run_inside(here, sys.argv[1:]) if here else command.run()
        return result if type(result) is int else 1 if result is False else 0
    except StackError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. {group.INTERRUPTED}")
        return 130
    except Exception as problem:  # what is no sentence is a fault of this program, and keeps its traceback
        said = in_a_sentence(problem, command.state)
        if said is None:
            raise
        print(f"\n{said} {group.INTERRUPTED}", file=sys.stderr)
        return 1


def in_a_sentence(problem: Exception, state: Path | None) -> str | None:
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return f"The disk of {state or Path()} is full. Make room."
    return patience.sentence(problem)


class Said(logging.Handler):
    """What is waited for, among the lines of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        say_indented(record.getMessage())
