"""Runs the command that was typed, and says in one sentence what a person can do if it fails."""

import argparse
import errno
import sys

from stack.cli import cloud, local
from stack.common.errors import StackError
from stack.common.options import add_options

COMMANDS = {command.__name__.lower(): command for command in (*local.COMMANDS, *cloud.COMMANDS)}


def parser() -> argparse.ArgumentParser:
    every = argparse.ArgumentParser(prog="stack", description="`python -m stack COMMAND`: what the Makefile calls.")
    commands = every.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        add_options(commands.add_parser(name, help=command.__doc__, description=command.__doc__), command)
    return every


def main() -> int:
    """The exit status: 0, 1 for what is wrong, 130 for Ctrl-C."""
    options = vars(parser().parse_args())
    command = COMMANDS[options.pop("command")](**options)
    try:
        return 1 if command.run() is False else 0
    except StackError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        print(
            f"\nThe disk of {command.state} is full. Make room, then run the command again; it resumes.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        group = local if isinstance(command, local.COMMANDS) else cloud
        print(f"\nInterrupted. {group.INTERRUPTED}")
        return 130
