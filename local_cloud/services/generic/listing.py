"""Lists: parents and `filter` narrow, `page_size` and `page_token` page."""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from local_cloud.core import schema
from local_cloud.core.errors import invalid

DEFAULT_PAGE = 100
Item = TypeVar("Item")


def parents_in(request: Any) -> dict[str, str]:
    """The parents that a List request names, as field -> id."""
    names = [name for name in schema.string_fields(request.DESCRIPTOR) if name.endswith("_id")]
    return {name: value for name in names if (value := getattr(request, name))}


def paged(request: Any, items: Sequence[Item], position: Callable[[Item], int]) -> tuple[list[Item], str]:
    """One page and the token of the next; a token is opaque to callers and holds the position it continues after."""
    token = getattr(request, "page_token", "")
    try:
        after = int(base64.urlsafe_b64decode(token.encode())) if token else 0
    except ValueError:
        raise invalid(f"page_token: {token!r} was not given out by a List of this service") from None
    size = getattr(request, "page_size", 0) or DEFAULT_PAGE
    rest = [item for item in items if position(item) > after]
    page = rest[:size]
    token = base64.urlsafe_b64encode(str(position(page[-1])).encode()).decode() if len(rest) > size else ""
    return page, token


def numbered_page(request: Any, items: Sequence[Item]) -> tuple[list[Item], str]:
    """One page of items that have no number of their own, by their place in the list."""
    page, token = paged(request, list(enumerate(items, start=1)), lambda item: item[0])
    return [item for _, item in page], token


_CONDITION = re.compile(r"""\s*([\w.-]+)\s*(!?=)\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))\s*$""")


def parse_filter(text: str, kind: Descriptor) -> list[Callable[[Message], bool]]:
    """`name="a" AND labels.run="b"` -> predicates; raises INVALID_ARGUMENT for what is not of that form."""
    return [_condition(part, kind) for part in re.split(r"\s+AND\s+", text) if part.strip()]


def _condition(text: str, kind: Descriptor) -> Callable[[Message], bool]:
    match = _CONDITION.match(text)
    if match is None:
        raise invalid(f'filter: {text!r} is not of the form name="value" (also !=, and several joined by AND)')
    path, operator = match[1].split(".", 1), match[2]
    value = next(group for group in match.groups()[2:] if group is not None)
    field = kind.fields_by_name.get(path[0])
    if field is None or (len(path) == 2 and not schema.is_map(field)):
        raise invalid(f"filter: {kind.name} has no field {match[1]!r}")

    def holds(message: Message) -> bool:
        actual = getattr(message, path[0])
        if len(path) == 2:
            actual = actual.get(path[1], "")
        if field.enum_type is not None:
            actual = field.enum_type.values_by_number[actual].name
        return bool((str(actual) == value) == (operator == "="))

    return holds
