"""Every command of the documents has been run by a test, or says what it needs besides this machine (commands.toml)."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from stack.common.envs import ROOT
from tests.lint.test_documents import COMMAND, commands_of, targets

PROOFS: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "commands.toml").read_text())
NEEDS = {"cloud", "root", "hour"}
# Programs whose calls stand in the text between quotes.
INLINE = re.compile(r"`((?:ansible-playbook|terraform|ssh|yc|\.envs/\S+) (?!=)[^`]+)`")


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "README.ru.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(document: Path) -> Iterator[str]:
    text = document.read_text()
    for found in COMMAND.finditer(re.sub(r"<[^>]*>", "X", text)):
        said = " ".join(found[1].split())
        # What make answers (`make demo takes no WEEK`) is no command, nor is `make test-spark-X`.
        if not re.search(r"\btakes\b|[a-z]-[A-Z]", said):
            yield f"make {said}"
    yield from (line for line in commands_of(document) if line and not line.startswith("make "))
    yield from (" ".join(found[1].split()) for found in INLINE.finditer(text))


def proof_of(command: str) -> str | None:
    """The longest line of commands.toml that a command begins with."""
    fitting = [line for line in PROOFS if command.startswith(line)]
    return max(fitting, key=len, default=None)


def test_every_command_of_the_documents_is_proven_or_says_what_it_needs() -> None:
    missing = sorted(
        {
            f"{document.relative_to(ROOT)}: `{command}`"
            for document in documents()
            for command in commands(document)
            if proof_of(command) is None
        }
    )
    assert not missing, "add the test that runs it, or what it needs, to tests/lint/commands.toml:\n" + "\n".join(
        missing
    )


def test_the_tests_are_there_and_call_what_they_prove() -> None:
    wrong = []
    for command, proof in PROOFS.items():
        assert set(proof) <= {"test", "calls", "needs"}, command
        assert proof.get("needs", "cloud") in NEEDS, command
        if "test" not in proof:
            assert "needs" in proof, f"{command} has neither a test nor says what it needs"
            continue
        file, _, test = proof["test"].partition("::")
        text = (ROOT / file).read_text() if (ROOT / file).is_file() else ""
        calls = proof.get("calls", command.split()[-1])
        if f"def {test}(" not in text:
            wrong.append(f"{command}: there is no {proof['test']}")
        elif calls not in text:
            wrong.append(f"{command}: {file} has no `{calls}`")
    assert not wrong, "\n".join(wrong)


def test_no_line_is_left_of_a_command_that_no_document_has() -> None:
    used = {proof_of(command) for document in documents() for command in commands(document)}
    assert set(PROOFS) - used == set()


def test_the_targets_are_those_of_make() -> None:
    assert {line.split()[1] for line in PROOFS if line.startswith("make ")} <= targets()
