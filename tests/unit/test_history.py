"""The history of what serves: each change recorded before it moves anything, whatever dies or comes at once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dags.retraining import approval, history, lake
from dags.retraining.history import BARRED_TAG, Book, Busy, Change, Refused
from tests.support.registry import Models


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="lake")
        yield client


@pytest.fixture
def book(s3: Any) -> Book:
    return Book(s3, "lake", Models(), "fraud")


def decision(action: str, winner: str | None, compared: str | None, run: str = "r") -> dict[str, Any]:
    side = {"version": compared, "metrics": {"average_precision": 0.6}} if compared else None
    return {
        "action": action,
        "winner": winner,
        "champion": side,
        "challenger": {"version": winner, "metrics": {"average_precision": 0.7}},
        "reason": "because",
        "run_id": run,
    }


def three_promotions(book: Book) -> None:
    for version, before in (("1", None), ("2", "1"), ("3", "2")):
        history.promote(book, decision("promote", version, before, f"run-{version}"))


def back(book: Book, version: str, by: str = "ann", why: str = "it finds nothing") -> Change:
    return Change(history.ROLLBACK, version, by, why, expected=book.client.aliases["champion"])


# ------------------------------------------------------------------------------------------------ promotion
def test_a_promotion_is_recorded_with_its_reason_and_figures(book: Book) -> None:
    history.promote(book, decision("promote", "1", None))
    history.promote(book, decision("promote", "2", "1", "r2"))
    assert book.client.aliases == {"champion": "2", "previous": "1"}
    assert book.client.tags == {"1": {"promoted": "run r"}, "2": {"promoted": "run r2"}}
    first, second = book.records()
    assert (first.told["from"], first.told["to"], second.told["from"], second.told["to"]) == (None, "1", "1", "2")
    assert (second.told["by"], second.told["why"]) == ("run r2", "because")
    assert second.told["figures"] == {"champion": 0.6, "challenger": 0.7}
    assert second.end is not None
    assert second.end["outcome"] == "done"
    assert book.broken() == []


def test_the_same_decision_twice_changes_nothing(book: Book) -> None:
    for _ in range(2):
        history.promote(book, decision("promote", "1", None))
    assert (book.client.aliases, book.client.moves, len(book.records())) == ({"champion": "1"}, 1, 1)


@pytest.mark.parametrize("action", ["keep", "reject"])
def test_a_refused_challenger_moves_nothing(book: Book, action: str) -> None:
    assert "because" in history.promote(book, decision(action, "1", "1"))
    assert (book.client.moves, book.records()) == (0, [])


def test_a_dry_run_promotes_nothing(book: Book) -> None:
    said = history.promote(book, decision("promote", "unregistered", "1") | {"dry_run": True})
    assert said == "dry run, nothing moved; the decision would be: promote"
    assert (book.client.moves, book.records()) == (0, [])


@pytest.mark.parametrize("now", ["3", None])
def test_a_decision_about_another_champion_is_refused(book: Book, now: str | None) -> None:
    book.client.aliases = {"champion": now} if now else {}
    with pytest.raises(Refused, match=f"Version {now or 'none'} of `fraud` serves, 1 was expected"):
        history.promote(book, decision("promote", "2", "1"))
    assert book.client.moves == 0


# ------------------------------------------------------------------------------------------------ approval
def answered(book: Book, verdict: str, by: str = "ann", why: str = "") -> str:
    return history.promote(book, decision("promote", "2", "1", "r2"), "", approval.answer(verdict, by, why), asked=True)


def test_an_approved_promotion_names_the_run_and_the_person(book: Book) -> None:
    history.promote(book, decision("promote", "1", None))
    for _ in range(2):
        answered(book, approval.APPROVED, why="the figures are right")
    told = book.records()[-1].told
    assert (told["by"], told["why"]) == ("run r2, approved by ann", "because; the figures are right")
    assert (book.client.aliases["champion"], len(book.records())) == ("2", 2)


@pytest.mark.parametrize(("verdict", "by"), [(approval.REFUSED, "ann"), (approval.UNANSWERED, "anybody")])
def test_what_is_not_approved_is_on_record_and_moves_nothing(book: Book, verdict: str, by: str) -> None:
    history.promote(book, decision("promote", "1", None))
    moves = book.client.moves
    for _ in range(2):
        answered(book, verdict, by)
    record = book.records()[-1]
    assert (len(book.records()), book.client.moves, record.serves, record.end is not None) == (2, moves, "1", True)
    assert f"{verdict} by run r2, {verdict} by {by}, version 2 was not promoted, 1 stays champion" in history.in_words(
        record
    )
    assert (book.observe(), book.broken()) == (None, [])
    history.promote(book, decision("promote", "2", "1", "r3"))
    assert book.client.aliases == {"champion": "2", "previous": "1"}


def test_nothing_is_promoted_that_nobody_was_asked_about(book: Book) -> None:
    """A person may mark the task that asks as done."""
    with pytest.raises(Refused, match="Version 2 of `fraud` needs the approval of a person"):
        history.promote(book, decision("promote", "2", None), asked=True)
    assert (book.client.moves, book.records()) == (0, [])


def test_an_approval_of_what_was_overtaken_is_refused(book: Book) -> None:
    three_promotions(book)
    with pytest.raises(Refused, match="Version 3 of `fraud` serves, 1 was expected"):
        answered(book, approval.APPROVED)
    assert book.client.aliases["champion"] == "3"


@pytest.mark.parametrize("writes", range(2))
def test_a_refusal_that_dies_between_two_writes_is_finished_by_its_repetition(
    book: Book, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    history.promote(book, decision("promote", "1", None))
    with monkeypatch.context() as patch:
        dies_after(book, writes, patch)
        with pytest.raises(Killed):
            answered(book, approval.REFUSED)
    answered(book, approval.REFUSED)
    assert [record.end["outcome"] for record in book.records() if record.end] == ["done", "done"]
    assert (book.client.aliases, book.broken()) == ({"champion": "1"}, [])


@pytest.mark.parametrize("hours", [0, -1, 145])
def test_an_answer_has_a_time(hours: float) -> None:
    with pytest.raises(ValueError, match=f"promotion.hours is {hours}, more than 0 and at most 144 are expected"):
        approval.patience({"promotion": {"mode": "approval", "hours": hours}})
    assert approval.patience({}) == timedelta(hours=48)


# ------------------------------------------------------------------------------------------------ whatever dies
class Killed(BaseException):
    pass


WRITES = ("put_object", "set_model_version_tag", "set_registered_model_alias")


def dies_after(book: Book, writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets so many writes happen, to the lake or the registry, and dies before the next one."""
    done = [0]
    for owner in (book.s3, book.client):
        for name in WRITES:
            if plain := getattr(owner, name, None):

                def write(*args: Any, _plain: Any = plain, **kwargs: Any) -> Any:
                    if done[0] == writes:
                        raise Killed
                    done[0] += 1
                    return _plain(*args, **kwargs)

                monkeypatch.setattr(owner, name, write)


@pytest.mark.parametrize("writes", range(5))
def test_a_promotion_that_dies_between_two_writes_is_finished_by_its_repetition(
    book: Book, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    history.promote(book, decision("promote", "1", None))
    with monkeypatch.context() as patch:
        dies_after(book, writes, patch)
        with pytest.raises(Killed):
            history.promote(book, decision("promote", "2", "1", "r2"))
    history.promote(book, decision("promote", "2", "1", "r2"))
    assert book.client.aliases == {"champion": "2", "previous": "1"}
    assert [record.end["outcome"] for record in book.records() if record.end] == ["done", "done"]
    assert book.broken() == []


@pytest.mark.parametrize("writes", range(1, 6))
def test_a_rollback_that_dies_between_two_writes_is_settled_by_the_next_change(
    book: Book, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    three_promotions(book)
    with monkeypatch.context() as patch:
        dies_after(book, writes, patch)
        with pytest.raises(Killed):
            book.carry_out(back(book, "1"))
    serves = book.client.aliases["champion"]
    with pytest.raises(Busy, match="has not ended"):
        history.promote(book, decision("promote", "4", serves, "r4"))
    monkeypatch.setattr(history, "PATIENCE", timedelta(0))
    history.promote(book, decision("promote", "4", serves, "r4"))
    *_, settled, last = book.records()
    assert settled.end is not None
    assert settled.end["outcome"] == ("done" if serves == "1" else "did not happen")
    assert (last.told["from"], last.told["to"], book.client.aliases["champion"]) == (serves, "4", "4")


def test_of_two_changes_at_once_one_waits(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    three_promotions(book)
    plain = lake.write_new

    def write_new(s3: Any, bucket: str, key: str, value: Any) -> bool:
        with monkeypatch.context() as patch:  # the other one comes between the look and the write
            patch.setattr(lake, "write_new", plain)
            book.carry_out(back(book, "2", by="bob"))
        return plain(s3, bucket, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(lake, "write_new", write_new)
        with pytest.raises(Busy):
            history.promote(book, decision("promote", "4", "3", "r4"))
    assert book.client.aliases["champion"] == "2"
    with pytest.raises(Refused, match="Version 2 of `fraud` serves, 3 was expected"):
        history.promote(book, decision("promote", "4", "3", "r4"))
    assert [record.told["by"] for record in book.records()] == ["run run-1", "run run-2", "run run-3", "bob"]


# ------------------------------------------------------------------------------------------------ by hand
def test_what_was_moved_by_hand_is_noticed(book: Book) -> None:
    book.client.aliases["champion"] = "7"
    found = book.observe()
    assert found is not None
    assert "it served when the history began" in history.in_words(found)
    assert book.observe() is None
    book.client.aliases["champion"] = "5"
    history.promote(book, decision("promote", "8", "5"))
    assert [(one.told["action"], one.told["from"], one.told["to"]) for one in book.records()] == [
        ("observed", None, "7"),
        ("observed", "7", "5"),
        ("promote", "5", "8"),
    ]
    del book.client.aliases["champion"]
    assert "champion: version 8 -> none" in history.in_words(book.observe() or book.records()[0])


def test_a_record_that_was_rewritten_breaks_the_chain(book: Book) -> None:
    three_promotions(book)
    told = dict(book.record(2).told) | {"why": "another reason"}
    book.s3.put_object(Bucket="lake", Key=history.key(2), Body=json.dumps(told).encode())
    assert book.broken() == [3]
    book.s3.delete_object(Bucket="lake", Key=history.key(1))
    assert 2 in book.broken()


# ------------------------------------------------------------------------------------------------ rollback
def test_a_rollback_goes_back_and_bars_what_it_left(book: Book) -> None:
    three_promotions(book)
    assert book.way_back() == "2"
    said = book.carry_out(back(book, "2"))
    assert "rollback by ann, champion: version 3 -> 2: it finds nothing" in said
    assert book.client.aliases == {"champion": "2", "previous": "3"}
    assert book.client.tags["3"][BARRED_TAG] == "it finds nothing"
    with pytest.raises(Refused, match="Version 3 of `fraud` is barred"):
        history.promote(book, decision("promote", "3", "2", "r4"))
    assert book.carry_out(back(book, "2")).startswith("done already")
    assert book.carry_out(back(book, "2", by="bob")) == "version 2 serves already"
    with pytest.raises(Refused, match="It was rolled back already"):
        book.way_back()
    assert book.client.aliases["champion"] == "2"


def test_after_a_new_promotion_a_rollback_passes_over_what_is_barred(book: Book) -> None:
    three_promotions(book)
    book.carry_out(back(book, "2"))
    history.promote(book, decision("promote", "4", "2", "r4"))
    assert book.way_back() == "2"
    book.carry_out(back(book, "2", by="again"))
    history.promote(book, decision("promote", "5", "2", "r5"))
    book.client.tags["2"][BARRED_TAG] = "by a person"
    assert book.way_back() == "1"


def test_there_is_no_way_back_from_the_first_champion(book: Book) -> None:
    history.promote(book, decision("promote", "1", None))
    with pytest.raises(Refused, match="No version of `fraud` has served before version 1"):
        book.way_back()


def test_a_bar_is_lifted_on_the_record(book: Book) -> None:
    three_promotions(book)
    book.carry_out(back(book, "2"))
    said = book.carry_out(Change(history.UNBAR, "3", "ann", "it was the data", expected=None))
    assert "version 3 may serve again: it was the data" in said
    assert history.bars(book.client, "fraud") == {}
    assert (book.client.aliases["champion"], book.records()[-1].serves) == ("2", "2")
    assert book.observe() is None
    history.promote(book, decision("promote", "3", "2", "r4"))
    assert book.client.aliases["champion"] == "3"


def test_a_change_of_long_ago_is_no_hindrance(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    history.promote(book, decision("promote", "1", None))
    book.begin(Change(history.PROMOTE, "9", "run dead", "x", "1"), "1", "9")
    later = datetime.now(UTC) + history.PATIENCE

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return later

    monkeypatch.setattr(history, "datetime", Later)
    history.promote(book, decision("promote", "2", "1", "r2"))
    assert [record.end["outcome"] for record in book.records() if record.end] == ["done", "did not happen", "done"]
