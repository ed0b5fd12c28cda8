"""Documents say what is so: links lead somewhere, commands exist, and the two READMEs say the same."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from stack.common.envs import ROOT

ENGLISH, RUSSIAN = ROOT / "README.md", ROOT / "README.ru.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")
# In a code block or in quotes: `make demo WEEKS=2`.
COMMAND = re.compile(r"(?:^|`)make +((?:[A-Za-z0-9_.-]+(?:=(?:'[^']*'|\"[^\"]*\"|[^\s`'\"]*))?[ \t]*)+)", re.M)


def documents() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split()]


def prose(text: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


@cache
def anchors(document: Path) -> set[str]:
    """Those that GitHub makes of the headings."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(document.read_text()), re.M)
    bare = [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", each) for each in headings]
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in bare}


def dead_links(document: Path) -> Iterator[str]:
    for found in LINK.finditer(prose(document.read_text())):
        link = found[1] or found[2]
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists():
            yield f"{document.relative_to(ROOT)}: {link} leads nowhere"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{document.relative_to(ROOT)}: {target.name} has no heading #{anchor}"


def test_links_lead_somewhere() -> None:
    found = [fault for document in documents() for fault in dead_links(document)]
    assert found == [], "\n".join(found)


@cache
def database() -> str:
    """make's own list of targets and variables."""
    command = ["make", "--print-data-base", "--question", "--no-builtin-rules", "help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w.-]*):", database(), re.M))


@cache
def taken(target: str) -> set[str]:
    """The variables of a target, as make/variables.mk has them."""
    found = re.search(rf"^TAKES_{re.escape(target)} := (.*)$", database(), re.M)
    tests = re.search(r"^OF_TESTS := (.*)$", database(), re.M)
    assert tests
    of_tests = tests[1].split() if re.match(r"test|lint|check|verify", target) else []
    return {*(found[1].split() if found else ()), *of_tests, "PYTHON"}


def wrong_commands(document: Path) -> Iterator[str]:
    where = document.relative_to(ROOT)
    for found in COMMAND.finditer(re.sub(r"<[^>]*>", "X", document.read_text())):
        words = re.findall(r"[^\s'\"=]+(?:=(?:'[^']*'|\"[^\"]*\"|\S*))?", found[1])
        # Of `make test-spark-X` X is the reader's; what make answers (`make demo takes no WEEK`) is no command.
        goals = [each for each in words if "=" not in each and not re.search("[A-Z]", each)]
        if "takes" in goals:
            continue
        if strange := set(goals) - targets():
            yield f"{where}: make has no {', '.join(strange)} (`make {found[1].strip()}`)"
            continue
        for name in (each.partition("=")[0] for each in words if "=" in each):
            if not any(name in taken(goal) for goal in goals):
                yield f"{where}: make {' '.join(goals)} takes no {name}"


def test_commands_are_those_that_make_has() -> None:
    found = [fault for document in documents() for fault in wrong_commands(document)]
    assert found == [], "\n".join(found)


def commands_of(document: Path) -> list[str]:
    """The lines of its blocks of shell, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.M | re.S)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]


def quoted(document: Path) -> list[str]:
    """What stands in quotes of code in its prose; what is translated there is Cyrillic."""
    every = re.findall(r"`([^`]+)`", prose(document.read_text()))
    return sorted(" ".join(each.split()) for each in every if not re.search(r"[А-Яа-яЁё…]|folder", each))


def figures(document: Path) -> list[str]:
    """Numbers of its prose, as English writes them."""
    bare = re.sub(r"\]\([^)]*\)|`[^`]*`", "", prose(document.read_text()))
    return sorted(each.replace(",", ".") for each in re.findall(r"\d+(?:[.,]\d+)*", bare))


@pytest.mark.parametrize(
    "part",
    [
        lambda file: re.findall(r"^(#+) ", prose(file.read_text()), re.M),
        commands_of,
        lambda file: [found for found in LINK.findall(file.read_text()) if "README" not in found[0]],
        lambda file: [line.count("|") for line in file.read_text().splitlines() if line.startswith("|")],
        quoted,
        figures,
    ],
    ids=["headings", "commands", "links", "tables", "code", "figures"],
)
def test_both_readmes_say_the_same(part: object) -> None:
    assert callable(part)
    assert part(RUSSIAN) == part(ENGLISH)


def missing_tests(document: Path) -> Iterator[str]:
    """What a document names as a proof, `tests/….py::test_…`, and is not there."""
    for name, test in re.findall(r"`((?:terraform/)?tests/[\w./]+\.\w+)(?:::(\w+))?`", document.read_text()):
        file = ROOT / name
        if not file.is_file() or (test and f"def {test}(" not in file.read_text()):
            yield f"{document.relative_to(ROOT)}: there is no {name}{'::' + test if test else ''}"


def test_tests_that_documents_name_are_there() -> None:
    found = [fault for document in documents() for fault in missing_tests(document)]
    assert found == [], "\n".join(found)


def test_every_picture_is_shown() -> None:
    listed = subprocess.run(["git", "ls-files", "docs/img"], cwd=ROOT, capture_output=True, text=True, check=True)
    text = "\n".join(document.read_text() for document in documents())
    assert [name for name in listed.stdout.split() if f"img/{Path(name).name}" not in text] == []
