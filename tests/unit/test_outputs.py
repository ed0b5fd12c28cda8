"""stack/cloud/outputs.py against terraform/outputs.tf: the same outputs, with the same keys inside.

outputs.tf is read by its braces. A literal object `{ key = … }` has the keys that stand directly in it; so has
`{ for name in ["key", …] : … }`. Of `var.x` beside or instead of one they are those of the object type in variables.tf.
Where a name is data (a machine's, a part's of Airflow), a field is a dict of records: those are compared with the
objects that have none inside them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from stack.cloud.outputs import CostInputs, Outputs
from stack.common.envs import ROOT
from stack.common.errors import StackError

TERRAFORM = ROOT / "terraform"
STRING = re.compile(r'"(?:\$\{[^}]*\}|\\.|[^"\\])*"')
KEY = re.compile(r"(?<![\w.])(\w+)\s*=(?![=>])")


@dataclass
class Braces:
    """What stands between two braces: its text, in which @0, @1, … stand for the braces inside it."""

    text: str
    inside: list["Braces"]

    def values(self) -> dict[str, "Braces"]:
        """Key -> its value."""
        keys = list(KEY.finditer(self.text))
        ends = [each.start() for each in keys[1:]] + [len(self.text)]
        return {key[1]: replace(self, text=self.text[key.end() : end]) for key, end in zip(keys, ends, strict=True)}

    def groups(self) -> list["Braces"]:
        return [self.inside[int(number)] for number in re.findall(r"@(\d+)", self.text)]

    def innermost(self) -> Iterator["Braces"]:
        for each in self.groups():
            yield from each.innermost() if each.groups() else [each]


def parse(text: str) -> Braces:
    """A Terraform file; strings other than whole words in a list are of no interest."""
    text = re.sub(r"#.*", "", STRING.sub(lambda found: found[0] if re.fullmatch(r'"[\w-]+"', found[0]) else '""', text))
    stack = [Braces("", [])]
    for part in re.split(r"([{}])", text):
        if part == "{":
            stack.append(Braces("", []))
        elif part == "}":
            closed = stack.pop()
            stack[-1].text += f"@{len(stack[-1].inside)}"
            stack[-1].inside.append(closed)
        else:
            stack[-1].text += part
    return stack[0]


def blocks(file: str, kind: str) -> dict[str, Braces]:
    top = parse((TERRAFORM / file).read_text())
    return {name: top.inside[int(number)] for name, number in re.findall(rf'{kind} "(\w+)" @(\d+)', top.text)}


VARIABLES, OUTPUTS = blocks("variables.tf", "variable"), blocks("outputs.tf", "output")
LOCALS = {
    name: value
    for path in TERRAFORM.glob("*.tf")
    for top in [parse(path.read_text())]
    for number in re.findall(r"(?m)^locals @(\d+)", top.text)
    for name, value in top.inside[int(number)].values().items()
}


def keys_of(value: Braces) -> dict[str, Braces | None]:
    """The keys of an object, each with its value if there is one to look into."""
    found: dict[str, Braces | None] = {}
    for name in re.findall(r"(?:^|[\s(])var\.(\w+)\s*(?:,|$)", value.text.strip()):
        type_of = VARIABLES[name].values()["type"].groups()[0]
        found |= dict.fromkeys(type_of.values())
    for group in value.groups():
        if names := re.match(r"\s*for \w+ in \[([^]]*)\]", group.text):
            found |= dict.fromkeys(re.findall(r'"([\w-]+)"', names[1]))
        else:
            found |= group.values()
    return found


def bare(kind: Any) -> Any:
    """The type without None."""
    return (
        next((each for each in get_args(kind) if each is not type(None)), kind)
        if type(None) in get_args(kind)
        else kind
    )


def compare(kind: type, value: dict[str, Braces | None], where: str) -> None:
    hints = {name: bare(hint) for name, hint in get_type_hints(kind).items() if name != "raw"}
    assert set(hints) == set(value), f"{where}: outputs.py has {set(hints)}, outputs.tf has {set(value)}"
    for name, hint in hints.items():
        inner = value[name]
        if inner is None:
            continue
        if is_dataclass(hint) and isinstance(hint, type):
            compare(hint, keys_of(inner), f"{where}.{name}")
        elif get_origin(hint) is dict and is_dataclass(record := get_args(hint)[1]):
            if name_of_local := re.search(r"local\.(\w+)", inner.text):
                inner = LOCALS[name_of_local[1]] if not inner.groups() else inner
            known = {key for group in inner.innermost() for key in group.values()}
            assert {each.name for each in fields(record)} == known, f"{where}.{name}"


def test_the_records_have_what_terraform_puts_out() -> None:
    compare(Outputs, {name: block.values()["value"] for name, block in OUTPUTS.items()}, "outputs")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(StackError, match=r"cost_inputs has no database, airflow.*`make bootstrap` makes it anew"):
        CostInputs.parse(
            {"machines": {}}
            | dict.fromkeys(
                (
                    "cluster",
                    "public_addresses",
                    "nat_gateways",
                    "dns_zones",
                    "kms_keys",
                    "secrets",
                    "buckets",
                    "log_days",
                )
            )
        )
