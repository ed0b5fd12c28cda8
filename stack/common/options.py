"""A command's options, each said once: the fields of a dataclass make its part of the command line.

A person says them to make, as variables. What a value cannot be is refused in those words, before anything is done.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stack.common.errors import StackError


@dataclass(frozen=True)
class Variable:
    """How a person says an option to make. Without a name it is the option's, in capitals.

    `takes` says of a value of the option's kind whether it will do, or raises ValueError with what is wrong; `expected`
    is that in words, `example` a value that will do.
    """

    name: str = ""
    expected: str = ""
    example: str = ""
    takes: Callable[[Any], object] = lambda _: True


FROM_0 = Variable("", "a whole number from 0 on", "1", lambda value: value >= 0)
FROM_1 = Variable("", "a whole number from 1 on", "2", lambda value: value >= 1)


def add_options(parser: argparse.ArgumentParser, options: type, target: str) -> None:
    """Adds `--base-port` for a field `base_port: Annotated[int, "help", Variable(…)] = 8000`; a bool is a switch.

    In the help %(default)s stands for the default. The variable may be left out: then its kind says what is expected.

    Args:
        target: what a person types after `make`.
    """
    hints = get_type_hints(options, include_extras=True)
    for each in fields(options):
        kind, text, *more = get_args(hints[each.name])
        if get_origin(kind) in (Union, UnionType):  # of `int | None`, int
            kind = get_args(kind)[0]
        settings: dict[str, Any] = {"help": text, "default": each.default}
        if kind is bool:
            settings["action"] = "store_true"
        else:
            variable = more[0] if more else Variable()
            settings["type"] = reader(kind, variable.name or each.name.upper(), variable, target)
            if kind is Path and each.default is not None:
                settings["default"] = str(each.default)
        parser.add_argument(f"--{each.name.replace('_', '-')}", **settings)


def reader(kind: Any, name: str, variable: Variable, target: str) -> Callable[[str], Any]:
    """What makes a value of the text of a variable, or raises StackError with what is expected."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    convert = str if choices else absolute if kind is Path else kind
    words = {
        int: ("a whole number", "2"),
        float: ("a number", "2.5"),
        Path: ("a folder", "~/fraud"),
        str: ("a text", "…"),
    }
    expected, example = (" or ".join(filter(None, choices)), choices[-1]) if choices else words[kind]
    expected, example = variable.expected or expected, variable.example or example

    def read(text: str) -> Any:
        why = ""
        try:
            value = convert(text)
            if value in choices if choices else variable.takes(value):
                return value
        except (ValueError, OverflowError) as problem:
            why = f" ({problem})"
        raise StackError(f"{name}={text}: {expected} is expected{why}, such as `make {target} {name}='{example}'`.")

    return read


def absolute(text: str) -> Path:
    """A folder as a person writes it, with ~. An empty text is none: it would stand for the folder where one is."""
    if not text.strip():
        raise ValueError("it is empty")
    return Path(text).expanduser().absolute()
