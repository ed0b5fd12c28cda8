"""A promotion that a person must agree to: what is asked, what was answered, and how long there is time.

The question lies in the lake as `approvals/<run>-<version>.json`, written once: who tries again asks nobody twice and
gains no time. On Airflow 3.1 and newer the answer is given on the page of the task `approve`; before, by the DAG
`approve`, which leaves it beside the question.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dags.retraining import lake

PREFIX = "approvals/"
AUTOMATIC, APPROVAL = "automatic", "approval"
MODES = (AUTOMATIC, APPROVAL)
APPROVED, REFUSED, UNANSWERED = "approved", "refused", "unanswered"
HOURS = 48  # if nothing is said
LONGEST = timedelta(days=6)  # the next weekly run waits for this one


def is_wanted(known: Mapping[str, Any], decision: Mapping[str, Any]) -> bool:
    """Whether a person is asked: for every promotion, the first of all too, if the deployment says so."""
    if decision["action"] != "promote" or decision.get("dry_run"):
        return False
    return known.get("promotion", {}).get("mode", AUTOMATIC) == APPROVAL


def patience(known: Mapping[str, Any]) -> timedelta:
    """How long a person has.

    Raises:
        ValueError: longer than a run may wait, or no time at all.
    """
    hours = known.get("promotion", {}).get("hours", HOURS)
    if not timedelta() < timedelta(hours=hours) <= LONGEST:
        raise ValueError(
            f"promotion.hours is {hours}, more than 0 and at most {LONGEST.total_seconds() / 3600:.0f} are expected: "
            "set it in terraform.tfvars (promotion = { hours = 48 }), then `make bootstrap`."
        )
    return timedelta(hours=hours)


def ask(s3: Any, known: Mapping[str, Any], decision: Mapping[str, Any], link: str) -> tuple[dict[str, Any], bool]:
    """The question of a decision's run, and whether it is new."""
    now, champion = datetime.now(UTC), decision["champion"]
    question = {
        "run": decision["run_id"],
        "version": str(decision["winner"]),
        "champion": str(champion["version"]) if champion else None,
        "reason": decision["reason"],
        "report": link,
        "asked": now.isoformat(timespec="seconds"),
        "until": (now + patience(known)).isoformat(timespec="seconds"),
    }
    name = key(question)
    is_new = lake.write_new(s3, known["lake_bucket"], name, question)
    return lake.read(s3, known["lake_bucket"], name) or question, is_new


def time_left(question: Mapping[str, Any]) -> timedelta:
    return datetime.fromisoformat(question["until"]) - datetime.now(UTC)


def subject(question: Mapping[str, Any]) -> str:
    return f"Shall version {question['version']} serve instead of {question['champion'] or 'none'}?"


def text(question: Mapping[str, Any]) -> str:
    """What a person must know to answer, as Markdown."""
    until = question["until"][:16].replace("T", " ")
    stays = f"version {question['champion']} stays champion" if question["champion"] else "still nothing serves"
    return (
        f"{question['reason']}\n\n[The report of this retrain]({question['report']})\n\n"
        f"Without an answer until {until} UTC {stays}."
    )


def answer(verdict: str, by: str, why: str = "") -> dict[str, str]:
    return {"verdict": verdict, "by": by, "why": why}


def nobody() -> dict[str, str]:
    return answer(UNANSWERED, "anybody", "the time for an answer is over")


# ------------------------------------------------------------------------------------------------ before Airflow 3.1
def waiting(s3: Any, bucket: str) -> dict[str, Any] | None:
    """The question that waits for an answer: one at most, since one run at a time asks."""
    return next(unanswered(s3, bucket), None)


def unanswered(s3: Any, bucket: str) -> Iterator[dict[str, Any]]:
    """Questions that have time left and no answer beside them; one that was answered on a page has none."""
    there = lake.names(s3, bucket, PREFIX)
    for name in there:
        if name.endswith(".answer.json") or name.replace(".json", ".answer.json") in there:
            continue
        question = lake.read(s3, bucket, PREFIX + name)
        if question and time_left(question) > timedelta():
            yield dict(question)


def take(s3: Any, bucket: str, version: str, given: Mapping[str, str]) -> str:
    """Keeps an answer for the run that waits for it; returns what was said, for people.

    Raises:
        ValueError: nothing waits for an answer about that version, or it was answered just now.
    """
    question = waiting(s3, bucket)
    if question is None:
        raise ValueError("No promotion waits for an answer: it was answered, or its time is over. Nothing was done.")
    if question["version"] != version:
        raise ValueError(
            f"Version {version} does not wait for an answer, version {question['version']} does: read its report "
            f"({question['report']}), then trigger this again with that number. Nothing was done."
        )
    if not lake.write_new(s3, bucket, key(question, ".answer"), dict(given)):
        raise ValueError(f"Somebody else has just answered about version {version}. Nothing was done.")
    return f"version {version} {given['verdict']} by {given['by']}"


def answered(s3: Any, bucket: str, question: Mapping[str, Any]) -> dict[str, str] | None:
    return lake.read(s3, bucket, key(question, ".answer"))


def key(question: Mapping[str, Any], half: str = "") -> str:
    return f"{PREFIX}{question['run']}-{question['version']}{half}.json"
