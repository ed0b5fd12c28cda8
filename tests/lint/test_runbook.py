"""Every message that a person may get has its entry in docs/runbook.md, and every entry a message."""

from collections import defaultdict

import pytest

from stack.common.envs import ROOT
from tests.lint import messages
from tests.lint.messages import Message

RUNBOOK = ROOT / "docs" / "runbook.md"


def patterns() -> dict[str, list[str]]:
    found = defaultdict(list)
    for chapter, quoted, _ in messages.entries(RUNBOOK):
        found[chapter] += quoted
    return found


def test_every_message_has_its_entry() -> None:
    missing = messages.without_entry(messages.all_messages(), patterns())
    told = "".join(
        f"\n{each.place}: {each.text}\n  -> a row under `## {each.chapter}` whose first cell quotes it"
        for each in missing
    )
    assert not missing, f"{len(missing)} messages have no entry in docs/runbook.md (`…` for what differs):{told}"


def test_every_entry_has_its_message() -> None:
    known, said = defaultdict(list), messages.everything_said()
    for each in messages.all_messages():
        known[each.chapter].append(each.text)
    stale = [
        f"`{pattern}` under `## {chapter}`"
        for chapter, quoted in patterns().items()
        for pattern in quoted
        if not any(messages.says(pattern, text) for text in known[chapter])
        and not any(messages.says(pattern, text) for text in said)
    ]
    assert not stale, "docs/runbook.md explains what nobody says any more:\n" + "\n".join(stale)


def test_an_entry_says_what_it_means() -> None:
    for chapter, quoted, cells in messages.entries(RUNBOOK):
        assert len(cells) == 2, (chapter, quoted)
        assert cells[0], (chapter, quoted)


@pytest.mark.parametrize(
    ("chapter", "words"),
    [
        ("The demo", "is taken by another program"),
        ("The cloud", "does not let this computer in"),
        ("Runs", "would cost about"),
        ("Jobs", "broke quality rules"),
        ("Machines", "Debian 12 or 13 is expected"),
        ("Machines", "brings the programs of"),
        ("Settings", "and a server of preset … has … for its users"),
        ("Variables of make", "make … takes no …; it takes …"),
        ("Alerts", "no raw file for … days"),
        ("Alerts", "certificate … ends in … days"),
        ("Quality rules", "duplicate"),
        ("The local cloud", "is in use by another endpoint"),
    ],
)
def test_each_kind_of_source_is_read(chapter: str, words: str) -> None:
    assert any(each.chapter == chapter and words in each.text for each in messages.all_messages())


def test_a_new_message_is_missed() -> None:
    new = Message("Runs", "dags/retraining/x.py:1", "The moon is … today: it failed …: wait.")
    assert messages.without_entry([new], patterns()) == [new]
    assert messages.without_entry([new], {"Jobs": ["The moon is … today"]}) == [new]
    assert not messages.without_entry([new], {"Runs": ["The moon is … today"]})
