"""README.md of every role, from its argument_specs, defaults and table of contents.

python ansible/role_readme.py            # writes roles/*/README.md
python ansible/role_readme.py --check    # status 1 if one is not what it would write
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parent.parent / "roles"
MARK = "<!-- Made from meta/argument_specs.yml by `make role-readmes`: change that, not this. -->"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def prose(text: str | list[str]) -> str:
    return " ".join((text if isinstance(text, str) else " ".join(text)).split())


def shown(value: object) -> str:
    """A default as YAML in one line; a table's cell cannot hold a bare `|`."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.strip().removesuffix("...").strip().replace("|", "\\|")


def rows(options: dict[str, Any], defaults: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Lines of the table; what a list or a dict holds follows it as `list[].key`."""
    for name, option in options.items():
        kind = f"list of {option['elements']}" if option["type"] == "list" else option["type"]
        value = option.get("default") if prefix else defaults.get(name)
        default = "**required**" if option.get("required") else f"`{shown(value)}`" if value is not None else ""
        choices = f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}." if "choices" in option else ""
        meaning = prose(option["description"]).replace("|", "\\|") + choices
        yield f"| `{prefix}{name}` | {kind} | {default} | {meaning} |"
        marker = "[]." if option["type"] == "list" else "."
        yield from rows(option.get("options", {}), {}, f"{prefix}{name}{marker}")


def readme(role: Path) -> str:
    spec = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]
    described = spec.get("description", [])
    lines = [f"# {role.name}", "", MARK, "", prose(spec["short_description"]) + ".", ""]
    for paragraph in [described] if isinstance(described, str) else described:
        lines.append(f"- {prose(paragraph)}")
    main = role / "tasks/main.yml"
    if main.exists():
        lines += ["", "Steps: " + " · ".join(step["name"] for step in load(main) if "name" in step) + "."]
    lines += [
        "",
        "| Variable | Type | Default | Meaning |",
        "|---|---|---|---|",
    ]
    lines += rows(spec.get("options", {}), load(role / "defaults/main.yml") or {})
    return "\n".join(lines) + "\n"


def main() -> int:
    stale = []
    for role in sorted(path.parent.parent for path in ROLES.glob("*/meta/argument_specs.yml")):
        file, text = role / "README.md", readme(role)
        if file.exists() and file.read_text() == text:
            continue
        if "--check" in sys.argv[1:]:
            stale.append(str(file.relative_to(ROLES.parent)))
        else:
            file.write_text(text)
            print(file.relative_to(ROLES.parent))
    if stale:
        print(f"not what the argument_specs say: {', '.join(stale)}; run `make role-readmes`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
