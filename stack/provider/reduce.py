"""Makes stack/provider/yandex-schema.json anew from what the real provider says of itself.

    terraform providers schema -json > schema.json    # where the real provider is installed
    python -m stack.provider.reduce schema.json

Of the types that terraform/ has: names, types, flags and nesting; no prose. One line for each type, so that a change
shows.
"""

import json
import sys
from pathlib import Path
from typing import Any

from stack.provider.kinds import KINDS
from stack.provider.schema import FILE, FLAGS

Json = dict[str, Any]
DATA_SOURCES = ("yandex_compute_image",)


def reduced(spec: Json) -> Json:
    """A block, an attribute or a nested type without what is prose, empty or false."""
    found: Json = {flag: True for flag in FLAGS if spec.get(flag)}
    found |= {name: spec[name] for name in ("type", "nesting_mode") if name in spec}
    found |= {name: spec[name] for name in ("min_items", "max_items") if spec.get(name)}
    for name in ("attributes", "block_types"):
        if inner := spec.get(name):
            found[name] = {each: reduced(value) for each, value in sorted(inner.items())}
    for name in ("block", "nested_type"):
        if name in spec:
            found[name] = reduced(spec[name])
    return found


def whole(spec: Json) -> Json:
    return {"version": spec["version"], "block": reduced(spec["block"])}


def document(provider: Json) -> Json:
    """What is kept of one provider's schema.

    Raises:
        KeyError: the provider lacks a type that terraform/ has.
    """
    return {
        "provider": whole(provider["provider"]),
        "resource_schemas": {kind: whole(provider["resource_schemas"][kind]) for kind in sorted(KINDS)},
        "data_source_schemas": {kind: whole(provider["data_source_schemas"][kind]) for kind in DATA_SOURCES},
    }


def text_of(kept: Json) -> str:
    """JSON, with a line for each type."""
    parts = [f' "provider": {json.dumps(kept["provider"])}']
    for side in ("resource_schemas", "data_source_schemas"):
        lines = ",\n".join(f"  {json.dumps(kind)}: {json.dumps(spec)}" for kind, spec in kept[side].items())
        parts.append(f" {json.dumps(side)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    (provider,) = json.loads(Path(sys.argv[1]).read_text())["provider_schemas"].values()
    FILE.write_text(text_of(document(provider)))


if __name__ == "__main__":
    main()
