"""Makes stack/provider/yandex-schema.json anew from what the real provider says of itself.

    terraform providers schema -json > schema.json    # where the real provider is installed
    python -m stack.provider.reduce schema.json

Of the types that terraform/ has: names, types, flags and nesting; no prose. One line for each type, so that a change
shows.
"""

import argparse
import json
from pathlib import Path

from stack.provider.kinds import KINDS
from stack.provider.messages import Json
from stack.provider.schema import FILE, FLAGS

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
        SystemExit: the provider lacks a type that terraform/ has.
    """
    kept = {"provider": whole(provider["provider"])}
    for side, kinds in (("resource_schemas", sorted(KINDS)), ("data_source_schemas", DATA_SOURCES)):
        if missing := [kind for kind in kinds if kind not in provider[side]]:
            raise SystemExit(f"{side} of this provider lack what terraform/ has: {', '.join(missing)}")
        kept[side] = {kind: whole(provider[side][kind]) for kind in kinds}
    return kept


def text_of(kept: Json) -> str:
    """JSON, with a line for each type."""
    parts = [f' "provider": {json.dumps(kept["provider"])}']
    for side in ("resource_schemas", "data_source_schemas"):
        lines = ",\n".join(f"  {json.dumps(kind)}: {json.dumps(spec)}" for kind, spec in kept[side].items())
        parts.append(f" {json.dumps(side)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stack.provider.reduce", description="Renews yandex-schema.json.")
    parser.add_argument(
        "file", type=Path, help="what `terraform providers schema -json` printed, of this provider alone"
    )
    (provider,) = json.loads(parser.parse_args().file.read_text())["provider_schemas"].values()
    FILE.write_text(text_of(document(provider)))


if __name__ == "__main__":
    main()
