"""A command's options, each said once: the fields of a dataclass make its part of the command line."""

import argparse
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def add_options(parser: argparse.ArgumentParser, options: type) -> None:
    """Adds `--base-port` for a field `base_port: Annotated[int, "help"] = 8000`; a bool is a switch.

    In the help %(default)s stands for the default; a Literal's values are the choices.
    """
    hints = get_type_hints(options, include_extras=True)
    for each in fields(options):
        kind, text = get_args(hints[each.name])
        if get_origin(kind) in (Union, UnionType):  # of `int | None`, int
            kind = get_args(kind)[0]
        settings: dict[str, Any] = {"help": text, "default": each.default}
        if kind is bool:
            settings["action"] = "store_true"
        elif get_origin(kind) is Literal:
            settings["choices"] = get_args(kind)
        elif kind is Path:
            settings |= {"type": absolute, "default": str(each.default)}
        else:
            settings["type"] = kind
        parser.add_argument(f"--{each.name.replace('_', '-')}", **settings)


def absolute(text: str) -> Path:
    """A folder as a person writes it, with ~."""
    return Path(text).expanduser().absolute()
