"""Every message that a person may get from us, as the code has it; what differs each time is `…`."""

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from stack.common.envs import ROOT

# Chapter of docs/runbook.md -> where its messages are made, and by which calls. `simulator`, `bench` and `tests` speak
# to those who write code; what `local_cloud` refuses as the cloud, it says in the cloud's words.
ROOMS: dict[str, dict[str, set[str]]] = {
    "The demo": {"stack/local": {"StackError"}, "stack/common": {"StackError"}},
    "A running system": {"stack/running": {"StackError"}, "stack/cli": {"StackError"}},
    "The cloud": {"stack/cloud": {"StackError"}, "stack/lab": {"StackError"}},
    "The board": {"stack/board": {"StackError"}},
    "Runs": {
        "dags": {
            "AirflowFailException",
            "AirflowSkipException",
            "Busy",
            "LookupError",
            "Refused",
            "RuntimeError",
            "TimeoutError",
            "ValueError",
        }
    },
    "Jobs": {"spark_app": {"RetrainingError", "BrokenFileError", "QualityError"}},
    "Machines": {"roles": {"exit", "refuse"}, "ansible": {"exit"}},
    "The local cloud": {"local_cloud": {"ConfigError", "MachineError", "ValueError"}},
}
# Functions of which every sentence is a message, beside what they raise: file -> chapter, names.
SPOKEN = {
    "dags/retraining/costs.py": ("Runs", {"over"}),
    "dags/retraining/monitoring.py": ("Alerts", {"stale"}),
    "roles/monitoring/files/status.py": ("Alerts", {"problems"}),
    "spark_app/fraud_retraining/intake.py": ("Jobs", {"not_raw"}),
    "stack/running/watching.py": ("A running system", {"what_failed"}),
}
ALERTS = {"send", "tell"}  # what takes a title first
TOLD = {"problems", "alarms", "title"}  # of what the screen and `monitor` have to say, and of an alert
GAP = "…"
SHORTEST = 9  # letters of a pattern that says one message and not many


@dataclass(frozen=True)
class Message:
    """`chapter`: where docs/runbook.md has its entry; `place`: file and line."""

    chapter: str
    place: str
    text: str


def one_line(text: str) -> str:
    """As a reader searches for it: without quotes of code, on one line."""
    return " ".join(text.replace("`", "").split())


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z][A-Za-z']+", text)


def literal(node: ast.AST) -> str:
    """The text of an expression; empty if none of it stands in the code."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(literal(each) or GAP for each in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (literal(left) or GAP) + (literal(right) or GAP)
        case ast.Call(func=ast.Attribute(value=text, attr="format")):
            return re.sub(r"\{[^}]*\}", GAP, literal(text))
    return ""


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Each outermost text in a node, with its line."""
    if text := literal(node):
        yield getattr(node, "lineno", 0), text
        return
    for child in ast.iter_child_nodes(node):
        yield from texts(child)


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def files(*patterns: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split() if "tests/" not in name]


@cache
def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


@cache
def speaking(file: str) -> list[ast.AST]:
    """The nodes of a module that may hold a message."""
    kinds = (ast.Call, ast.Assign, ast.AugAssign, ast.FunctionDef)
    return [node for node in ast.walk(parsed(file)) if isinstance(node, kinds)]


def of_python(chapter: str, file: str, calls: set[str]) -> Iterator[Message]:
    for node in speaking(file):
        if isinstance(node, ast.Call) and node.args and name_of(node.func) in calls:
            yield from (Message(chapter, f"{file}:{line}", text) for line, text in texts(node.args[0]))


def of_alerts(file: str) -> Iterator[Message]:
    for node in speaking(file):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[said]) if name in TOLD:
                found = said
            case ast.Call(func=function, args=[title, *_]) if name_of(function) in ALERTS:
                found = title
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=said)
                | ast.AugAssign(target=ast.Name(id=name), value=said)
            ) if name in TOLD:
                found = said
            case _:
                continue
        yield from (Message("Alerts", f"{file}:{line}", text) for line, text in texts(found))


def of_functions(file: str) -> Iterator[Message]:
    chapter, names = SPOKEN[file]
    for node in speaking(file):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            for statement in node.body[1 if ast.get_docstring(node) else 0 :]:
                yield from (Message(chapter, f"{file}:{line}", text) for line, text in texts(statement))


def refusals(found: Any) -> Iterator[str]:
    """What the tasks of a playbook say when they fail."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key == "fail_msg" or key.endswith("_refusal"):
                yield value
            elif key == "ansible.builtin.fail":
                yield value["msg"]
            else:
                yield from refusals(value)
    elif isinstance(found, list):
        for each in found:
            yield from refusals(each)


def of_ansible() -> Iterator[Message]:
    for file in files("roles/*/tasks/*.yml", "roles/*/vars/*.yml", "ansible/**.yml", "site.yml"):
        for text in refusals(
            yaml.load((ROOT / file).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        ):
            yield Message("Machines", file, re.sub(r"\{\{.*?\}\}", GAP, text, flags=re.S))


def of_terraform() -> Iterator[Message]:
    for file in files("terraform/*.tf", "terraform/state/*.tf"):
        for found in re.finditer(r'error_message = "((?:[^"\\]|\\.)*)"', without_templates((ROOT / file).read_text())):
            yield Message("Settings", file, found[1].replace('\\"', '"'))


def without_templates(text: str) -> str:
    """Terraform's `${…}` hold quotes and braces of their own."""
    inner = re.compile(r"\$\{[^${}]*\}|(?<=\$\{)([^{}]*)\{[^{}]*\}")
    while (less := inner.sub(lambda found: GAP if found[1] is None else found[1], text)) != text:
        text = less
    return text


def in_brackets(text: str) -> str:
    """What stands before the bracket that closes."""
    depth = 0
    for place, sign in enumerate(text):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            return text[:place]
    raise ValueError(f"no bracket closes `{text[:40]}`")


def without_calls(text: str) -> str:
    """What make, or the shell in it, puts there is a gap."""
    while found := re.search(r"\$+\(", text):
        text = text[: found.start()] + GAP + text[found.end() + len(in_brackets(text[found.end() :])) + 1 :]
    return text


def of_make() -> Iterator[Message]:
    for file in files("make/*.mk", "Makefile"):
        text = (ROOT / file).read_text()
        said = [in_brackets(text[found.end() :]) for found in re.finditer(r"\$\(error ", text)]
        said += re.findall(r"echo ((?:\"[^\"]*\"|\s|\\\n)+)>&2", text)
        yield from (Message("Variables of make", file, without_calls(re.sub(r'"|\\\n', "", each))) for each in said)


def of_rules() -> Iterator[Message]:
    file = "spark_app/fraud_retraining/quality.py"
    named = {name_of(each): literal(value) for each, value in assignments(file)}
    for each, value in assignments(file):
        if name_of(each) == "MEANINGS":
            assert isinstance(value, ast.Dict)
            for key in value.keys:
                assert key
                yield Message("Quality rules", f"{file}:{key.lineno}", literal(key) or named[name_of(key)])


def assignments(file: str) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Name and value of what a module says, `A, B = 1, 2` as two."""
    for node in parsed(file).body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        value = getattr(node, "value", None)
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            yield from zip(target.elts, value.elts, strict=True)
        elif target is not None and value is not None:
            yield target, value


@cache
def all_messages() -> tuple[Message, ...]:
    found: list[Message] = [*of_ansible(), *of_terraform(), *of_make()]
    for chapter, rooms in ROOMS.items():
        for room, calls in rooms.items():
            for file in files(f"{room}/*.py"):
                found += of_python(chapter, file, calls)
    for file in files("dags/*.py", "roles/monitoring/*.py", "stack/running/*.py"):
        found += of_alerts(file)
    for file in SPOKEN:
        found += of_functions(file)
    # What has no words of its own hands on those of somebody else; a word alone is a key or a name.
    least = {"Alerts": 1}
    spoken = {
        Message(each.chapter, each.place, one_line(each.text))
        for each in found
        if len(words(each.text)) >= least.get(each.chapter, 3) and " " in each.text.strip()
    }
    return tuple(sorted({*spoken, *of_rules()}, key=lambda each: (each.chapter, each.place)))


@cache
def everything_said() -> list[str]:
    """The lines of our programs and roles: what an entry may quote besides, such as a line of a log."""
    lines: list[str] = []
    for file in files("stack/*.py", "dags/*.py", "spark_app/*.py", "local_cloud/*.py", "roles"):
        text = re.sub(r'"\s*\n\s*f?"', "", (ROOT / file).read_text(errors="replace"))  # a text of several lines
        lines += (one_line(line) for line in text.splitlines())
    return lines


def entries(document: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """(chapter, what the first cell quotes, the other cells) of each row of its tables."""
    chapter = ""
    for line in document.read_text().splitlines():
        if line.startswith("## "):
            chapter = line[3:].strip()
        if line.startswith("|") and not re.match(r"\|[\s|:-]+$", line):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            quoted = [found[1] or found[2] for found in re.finditer(r"``(.+?)``|`([^`]+)`", cells[0])]
            if quoted:
                yield chapter, [one_line(each.replace("\\|", "|")) for each in quoted], cells[1:]


def says(pattern: str, text: str) -> bool:
    """Whether a text has the pattern's words, in their order; a pattern of few letters must be all of it."""
    if len(re.sub(r"[^A-Za-z]", "", pattern)) < SHORTEST:
        return pattern == text
    place = 0
    for part in filter(None, (part.strip() for part in pattern.split(GAP))):
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return True


def without_entry(messages: Iterable[Message], patterns: dict[str, list[str]]) -> list[Message]:
    return [
        message
        for message in messages
        if not any(says(pattern, message.text) for pattern in patterns.get(message.chapter, ()))
    ]
