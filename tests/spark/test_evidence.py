"""Evidence over weeks: what counts, what does not, and what it decides."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from fraud_retraining import evidence, tournament
from fraud_retraining.dataset import Days
from fraud_retraining.evidence import Evidence, Gain, Week
from fraud_retraining.lake import Lake
from fraud_retraining.tournament import GATES, Gate, decide
from tests.spark.test_tournament import WEEK, candidate

MONDAY = date(2018, 6, 4)
GAIN = Gain(0.006, 0.004**2)


def week(number, champion="1", shift=0, **gains):
    """The test week `number`, moved by so many days; candidate 2 gains in it unless it is said otherwise."""
    first = MONDAY + timedelta(7 * number + shift)
    return Week(Days(first, first + timedelta(6)), champion, gains or {"2": GAIN})


@pytest.fixture
def lake(spark, tmp_path):
    return Lake(spark, str(tmp_path))


def leave(lake, *weeks):
    for number, one in enumerate(weeks):
        evidence.record(lake, "fraud", f"run-{number}", one)


def counted(lake, now):
    return [one.days.first for one in evidence.remember(lake, "fraud", now).counted]


def test_weeks_of_the_same_champion_add_up_and_a_week_counts_once(lake):
    leave(lake, week(0), week(1), week(1), week(1))  # the retrain of one week three times
    memory = evidence.remember(lake, "fraud", week(2))
    by_hand = Evidence()
    for number in range(3):
        by_hand = by_hand.after(number, GAIN.gain, GAIN.variance, 0.0)
    found = memory.seen["2"]
    assert (found.excess, found.information) == (by_hand.excess, by_hand.information)
    assert len(found.weeks) == 3
    assert found.log_e == by_hand.log_e > Evidence().log_e == pytest.approx(0)


def test_a_repeated_run_takes_the_place_of_the_former(lake):
    leave(lake, week(0), week(0, **{"2": Gain(-0.01, 0.004**2)}))
    assert evidence.remember(lake, "fraud", week(1)).counted[0].gains["2"].gain == -0.01
    again = evidence.remember(lake, "fraud", week(0))  # this run's own week is its own, not the record's
    assert [one.gains["2"].gain for one in again.counted] == [GAIN.gain]


def test_a_new_champion_begins_anew_also_one_that_served_before(lake):
    leave(lake, week(0), week(1), week(2, champion="7", **{"1": GAIN}), week(3))
    assert counted(lake, week(4)) == [week(3).days.first, week(4).days.first]
    assert counted(lake, week(4, champion="9")) == [week(4).days.first]


def test_days_that_two_weeks_share_are_not_counted_twice(lake):
    """A retrain every day: the test weeks overlap, and each seventh counts."""
    leave(lake, *(week(0, shift=day) for day in range(14)))
    firsts = counted(lake, week(2))
    assert firsts == [MONDAY, MONDAY + timedelta(7), MONDAY + timedelta(14)]
    between = evidence.remember(lake, "fraud", week(1, shift=3))
    assert not between.to_dict()["this_week_counts"]
    assert len(between.seen["2"].weeks) == 2


def test_a_retrain_as_of_a_past_day_knows_no_later_week(lake):
    leave(lake, week(0), week(5))
    assert counted(lake, week(1)) == [week(0).days.first, week(1).days.first]


def test_what_cannot_be_read_is_said_and_is_no_evidence(lake, caplog):
    leave(lake, week(0), week(2))
    lake.files.write_bytes(f"evidence/fraud/{week(1).days.first}.json", b'{"week": ["2018-06-', True)
    nan = week(3, **{"2": Gain(float("nan"), 1.0)})
    leave(lake, nan)
    memory = evidence.remember(lake, "fraud", week(4))
    assert [one.days.first for one in memory.counted] == [week(number).days.first for number in (0, 2, 4)]
    assert [one["file"][-15:] for one in memory.unreadable] == ["2018-06-11.json", "2018-06-25.json"]
    assert "2018-06-11.json is no evidence: JSONDecodeError" in caplog.text


def test_a_candidate_has_the_weeks_since_it_is_there_and_one_without_spread_none(lake):
    leave(lake, week(0, **{"2": GAIN}), week(1, **{"2": GAIN, "3": GAIN, "4": Gain(0.0, 0.0)}))
    memory = evidence.remember(lake, "fraud", week(2, **{"3": GAIN, "4": Gain(0.0, 0.0)}))
    assert {version: len(one.weeks) for version, one in memory.seen.items()} == {"3": 2, "4": 0}
    told = memory.to_dict()["candidates"]
    assert told["3"]["mean_gain"] == pytest.approx(GAIN.gain)
    assert (told["4"]["mean_gain"], told["4"]["log_e"]) == (None, pytest.approx(0))


def test_gains_are_paired():
    """Twins by the same mistakes: their difference spreads far less than each of them."""
    field = [candidate("1", "champion", 3), candidate("2", "challenger", 3.02), candidate("3", "earlier", 3, seed=9)]
    found = tournament.gains(WEEK, field, Gate(), 0)
    assert set(found) == {"2", "3"}
    assert found["2"].variance < found["3"].variance / 20
    assert found["2"].gain == field[1].metrics["average_precision"] - field[0].metrics["average_precision"]
    assert tournament.gains(WEEK, field[1:], Gate(), 0) == {}


# ------------------------------------------------------------------------------------------------ what it decides
STRONG = Evidence((1, 2, 3), 6_000.0, 900_000.0)
FIELD = [candidate("1", "champion", 3), candidate("2", "earlier", 3.02), candidate("3", "challenger", 2.98)]


def test_evidence_promotes_what_one_week_does_not():
    seen = {"2": STRONG, "3": Evidence()}
    for gate, given in ((GATES["week"], seen), (Gate(), None)):
        found = decide(WEEK, FIELD, gate, 0, given)
        assert (found["action"], found["decided_by"]) == ("keep", "week")
    found = decide(WEEK, FIELD, Gate(), 0, seen)
    assert (found["action"], found["winner"], found["decided_by"]) == ("promote", "2", "weeks")
    assert found["comparison"]["other"] == "2"
    assert (
        "version 2 has been compared with champion 1 in 3 weeks: the evidence for a gain above 0 is"
        in (found["reason"])
    )


def test_the_gate_comes_first():
    field = [candidate("1", "champion", 2), candidate("2", "earlier", 2), candidate("3", "challenger", 4)]
    found = decide(WEEK, field, Gate(), 0, {"2": STRONG, "3": Evidence()})
    assert (found["winner"], found["decided_by"]) == ("3", "week")


@pytest.mark.parametrize(
    ("seen", "gate", "scale"),
    [
        (Evidence((1,), 400.0, 60_000.0), Gate(), 1.0),  # too weak
        (STRONG, Gate(alpha=1e-30), 1.0),
        (STRONG, Gate(min_frauds=100_000), 1.0),
        (STRONG, Gate(), 0.4),  # a guardrail: it is not calibrated
    ],
)
def test_evidence_that_is_too_weak_or_a_guardrail_keeps_the_champion(seen, gate, scale):
    field = [FIELD[0], candidate("2", "challenger", 3.02, scale=scale)]
    found = decide(WEEK, field, gate, 0, {"2": seen})
    assert (found["action"], found["winner"], found["decided_by"]) == ("keep", "1", "week")
    assert "; nor do weeks decide: version 2 has been compared" in found["reason"]


def test_one_that_breaks_a_guardrail_gives_way_to_the_next_by_evidence():
    field = [FIELD[0], candidate("2", "earlier", 3.02, scale=0.4), candidate("3", "challenger", 3.02)]
    more = Evidence((1, 2), 2 * STRONG.excess, 2 * STRONG.information)
    found = decide(WEEK, field, Gate(), 0, {"2": more, "3": STRONG})
    assert (found["action"], found["winner"]) == ("promote", "3")
    assert found["passed_over"] == [{"version": "2", "reason": "observed over expected frauds is 2.50"}]


@pytest.mark.parametrize(
    ("value", "words"), [(34.2, "34 to 1"), (1.0, "1 to 1"), (0.05, "1 to 20"), (1e9, "more than 1,000,000 to 1")]
)
def test_odds_are_said_as_people_say_them(value, words):
    assert evidence.odds(float(np.log(value))) == words
