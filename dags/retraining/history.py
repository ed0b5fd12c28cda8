"""What served when, by whose decision and why; and the one way in which the alias `champion` moves.

Each change is a record in the lake. `history/00000007.json` says what shall change and is written before anything
moves; its number is taken by a conditional write, so of two who change something at once one has to wait, and no record
replaces another. `history/00000007.done.json` says how it ended and is written after the move. A change that died in
between is finished by whoever repeats it, or settled by the next one. Each record holds the digest of the one before:
who rewrites one by other means breaks the chain (`Book.broken`).

What a person moved in MLflow's own page is noticed by the next change, and by the DAG `monitor` every day.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dags.retraining import approval, lake, registry

PREFIX = "history/"
PROMOTE, ROLLBACK, UNBAR, OBSERVED = "promote", "rollback", "unbar", "observed"
REFUSED, UNANSWERED = approval.REFUSED, approval.UNANSWERED  # a promotion that a person, or nobody, has not approved
MOVES = (PROMOTE, ROLLBACK, OBSERVED)  # the others are on record and leave what serves where it is
DONE, FAILED = "done", "did not happen"
PATIENCE = timedelta(minutes=15)  # a change that is open for longer has died
RECENT = 20
BARRED_TAG = "barred"  # of a version: why it may not serve, and competes no more; an empty one bars nothing


class Busy(RuntimeError):
    """Another change is under way; it ends by itself."""


class Refused(ValueError):
    """The change cannot be made; says why, and what can be done."""


@dataclass(frozen=True)
class Change:
    """What shall be done to which version, by whom and why.

    `by` names a run: the same run asks for the same change once. `expected` is the version that must serve now;
    `figures` are numbers that speak for it, `link` leads to where they are from.
    """

    action: str
    version: str
    by: str
    why: str
    expected: str | None
    figures: Mapping[str, Any] = field(default_factory=dict)
    link: str = ""


@dataclass(frozen=True)
class Record:
    """A change with its number; `end` is what its second half says, None while it is open."""

    number: int
    told: Mapping[str, Any]
    end: Mapping[str, Any] | None

    @property
    def serves(self) -> str | None:
        """The version that serves once the record has ended."""
        moved = self.end is not None and self.end["outcome"] == DONE and self.told["action"] in MOVES
        return self.told["to"] if moved else self.told["from"]

    def is_of(self, change: Change) -> bool:
        return (self.told["action"], self.told["by"]) == (change.action, change.by)


@dataclass(frozen=True)
class Book:
    """The history of one registered model: `s3` and `bucket` are the lake's, `client` is MLflow's."""

    s3: Any
    bucket: str
    client: Any
    model: str

    # -------------------------------------------------------------------------------------------- read
    def numbers(self) -> list[int]:
        names = lake.names(self.s3, self.bucket, PREFIX)
        return sorted(int(name[:8]) for name in names if not name.endswith(".done.json"))

    def record(self, number: int) -> Record:
        told = lake.read(self.s3, self.bucket, key(number))
        assert told is not None, f"{key(number)} was listed and is gone"
        return Record(number, told, lake.read(self.s3, self.bucket, key(number, ".done")))

    def last(self) -> Record | None:
        numbers = self.numbers()
        return self.record(numbers[-1]) if numbers else None

    def records(self) -> list[Record]:
        """All of them, oldest first."""
        return [self.record(number) for number in self.numbers()]

    def recent(self) -> list[Record]:
        """The last ones, newest first: a run that is repeated later than that is another one."""
        return [self.record(number) for number in reversed(self.numbers()[-RECENT:])]

    def broken(self) -> list[int]:
        """Numbers of the records that do not fit the one before: somebody has rewritten or removed one."""
        found, before = [], ""
        for place, record in enumerate(self.records(), 1):
            if record.number != place or record.told["before"] != before:
                found.append(record.number)
            before = digest(record.told)
        return found

    # -------------------------------------------------------------------------------------------- change
    def observe(self) -> Record | None:
        """Records a move that nobody recorded: by hand in MLflow, or before there was a history. None: there was none.

        Raises:
            Busy: a change is under way.
        """
        last = self.settled()
        now, known = registry.champion(self.client, self.model), last.serves if last else None
        if now == known:
            return None
        why = "moved in MLflow by other means than ours" if last else "it served when the history began"
        return self.finish(self.begin(Change(OBSERVED, now or "", "unknown", why, known), known, to=now), DONE)

    def carry_out(self, change: Change) -> str:
        """Makes a change, or finishes it if it was begun; doing it twice changes nothing. Returns what was done.

        Raises:
            Busy: another change is under way.
            Refused: another version serves than the one expected, or this one may not.
        """
        recent = self.recent()
        for record in recent:
            if record.is_of(change) and record.end and record.end["outcome"] == DONE:
                return f"done already: {in_words(record)}"
        last = recent[0] if recent else None
        if last and not last.end and last.is_of(change):
            return self.apply(last)
        self.observe()
        now = registry.champion(self.client, self.model)
        if change.action in MOVES:
            if now == change.version:
                return f"version {now} serves already"
            if now != change.expected:
                raise Refused(
                    f"Version {now or 'none'} of `{self.model}` serves, {change.expected or 'none'} was expected: "
                    "another change came first, nothing was moved. Look at the history, then decide anew."
                )
            if bar := bars(self.client, self.model).get(change.version):
                raise Refused(
                    f"Version {change.version} of `{self.model}` is barred ({bar}): it serves no more until "
                    f"`make unbar VERSION={change.version} WHY=…`, or the DAG `unbar`."
                )
        return self.apply(self.begin(change, now, change.version if change.action in MOVES else now))

    def apply(self, record: Record) -> str:
        """Moves what a record says; every step can be repeated."""
        told = record.told
        before, to, version = told["from"], told["to"], told["version"]
        if registry.champion(self.client, self.model) not in (before, to):
            self.finish(record, FAILED)
            raise Refused(f"The champion was moved by other means while {in_words(record)}: nothing was moved.")
        if told["action"] == UNBAR:
            # Not deleted: an account that may edit a model may not delete anything of it.
            self.client.set_model_version_tag(self.model, version, BARRED_TAG, "")
        elif told["action"] in MOVES:
            if told["action"] == ROLLBACK and before:
                self.client.set_model_version_tag(self.model, before, BARRED_TAG, told["why"])
            if before:
                self.client.set_registered_model_alias(self.model, registry.PREVIOUS, before)
            self.client.set_model_version_tag(self.model, version, registry.PROMOTED_TAG, told["by"])
            self.client.set_registered_model_alias(self.model, registry.CHAMPION, version)
        return in_words(self.finish(record, DONE))

    def settled(self) -> Record | None:
        """The last record; one whose maker has died is ended as what serves now tells.

        Raises:
            Busy: its maker may still be at it.
        """
        last = self.last()
        if last is None or last.end:
            return last
        age = datetime.now(UTC) - datetime.fromisoformat(last.told["when"])
        if age < PATIENCE:
            raise Busy(f"A change of {age.total_seconds():.0f} s ago has not ended: {in_words(last)}. Try again soon.")
        moved = registry.champion(self.client, self.model) == last.told["to"] and last.told["action"] != UNBAR
        return self.finish(last, DONE if moved else FAILED)

    def begin(self, change: Change, now: str | None, to: str | None) -> Record:
        """The record of a change, before anything has moved.

        Raises:
            Busy: somebody else has just begun one.
        """
        last = self.last()
        told = {
            "action": change.action,
            "version": change.version,
            "from": now,
            "to": to,
            "by": change.by,
            "why": change.why,
            "figures": dict(change.figures),
            "link": change.link,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "before": digest(last.told) if last else "",
        }
        record = Record(last.number + 1 if last else 1, told, None)
        if not lake.write_new(self.s3, self.bucket, key(record.number), told):
            raise Busy("Another change has just begun. Try again soon.")
        return record

    def finish(self, record: Record, outcome: str) -> Record:
        end = {"outcome": outcome, "when": datetime.now(UTC).isoformat(timespec="seconds")}
        lake.write_new(self.s3, self.bucket, key(record.number, ".done"), end)
        return replace(record, end=end)

    # -------------------------------------------------------------------------------------------- back
    def way_back(self) -> str:
        """The version that a rollback goes to: what served before the last promotion, and may serve.

        Raises:
            Refused: there is none, or the last change was a rollback.
        """
        self.observe()
        now, barred = registry.champion(self.client, self.model), bars(self.client, self.model)
        moves = [record for record in self.records() if record.serves != record.told["from"]]
        if moves and moves[-1].told["action"] == ROLLBACK:
            raise Refused(f"It was rolled back already: {in_words(moves[-1])}. To go on from there, say which version.")
        for record in reversed(moves):
            version = record.told["from"]
            if version and version != now and version not in barred:
                return str(version)
        raise Refused(
            f"No version of `{self.model}` has served before version {now or 'none'} and may serve again: "
            "say which version to go to."
        )


def open_book(client: Any) -> Book:
    """The history of this deployment's model, by Airflow's connections and variable; `client` is MLflow's."""
    from dags.retraining import settings

    known = settings.read()
    return Book(lake.client(), known["lake_bucket"], client, known["model"])


def promote(
    book: Book,
    decision: Mapping[str, Any],
    link: str = "",
    answer: Mapping[str, str] | None = None,
    asked: bool = False,
) -> str:
    """Moves `champion` as a retrain's decision says; doing it twice changes nothing. Returns what was done, for people.

    Args:
        answer: what was answered to the question whether it may (`approval.answer`).
        asked: a person is to be asked in this deployment.

    Raises:
        Busy, Refused: see `Book.carry_out`; also if there must be an answer and is none.
    """
    if decision.get("dry_run"):
        return f"dry run, nothing moved; the decision would be: {decision['action']}"
    if decision["action"] != "promote":
        return f"nothing moved: {decision['reason']}"
    if asked and not answer:
        raise Refused(
            f"Version {decision['winner']} of `{book.model}` needs the approval of a person, and nobody was asked or "
            "has answered: nothing was moved. Clear the task `approve`, and all behind it."
        )
    return book.carry_out(change_of(decision, link, answer))


def change_of(decision: Mapping[str, Any], link: str, answer: Mapping[str, str] | None) -> Change:
    """The change that a decision to promote asks for, after what a person has said to it, or nobody."""
    expected = str(decision["champion"]["version"]) if decision["champion"] else None
    sides = {side: (decision.get(side) or {}).get("metrics") or {} for side in ("champion", "challenger")}
    figures = {side: metrics.get("average_precision") for side, metrics in sides.items()}
    by, why, action = f"run {decision['run_id']}", decision["reason"], PROMOTE
    if answer:
        by += f", {answer['verdict']} by {answer['by']}"
        why = "; ".join(filter(None, (why, answer["why"])))
        action = PROMOTE if answer["verdict"] == approval.APPROVED else answer["verdict"]
    return Change(action, str(decision["winner"]), by, why, expected, figures, link)


def key(number: int, half: str = "") -> str:
    return f"{PREFIX}{number:08d}{half}.json"


def digest(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def bars(client: Any, model: str) -> dict[str, str]:
    """Version -> why it is barred."""
    found = client.search_model_versions(f"name='{model}'")
    return {str(one.version): one.tags[BARRED_TAG] for one in found if one.tags.get(BARRED_TAG)}


def in_words(record: Record) -> str:
    """One line about a change."""
    told, end = record.told, record.end
    what = f"champion: version {told['from'] or 'none'} -> {told['to'] or 'none'}"
    if told["action"] == UNBAR:
        what = f"version {told['version']} may serve again"
    elif told["action"] not in MOVES:
        what = f"version {told['version']} was not promoted, {told['from'] or 'none'} stays champion"
    how = " (under way)" if end is None else "" if end["outcome"] == DONE else f" ({end['outcome']})"
    return f"{told['when'][:16].replace('T', ' ')} {told['action']} by {told['by']}, {what}{how}: {told['why']}"
