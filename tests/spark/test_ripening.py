"""How labels ripen: the estimate against the truth, the delay that follows, and weeks that are not ripe."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from fraud_retraining import ripening, training
from fraud_retraining.dataset import split_as_of
from fraud_retraining.errors import RetrainingError
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare
from tests.spark.transactions import line, write

START, DAYS, FRAUDS = date(2018, 4, 2), 84, 60
END = START + timedelta(DAYS)


def file(first, days, truth, on=END, look=1):
    """The manifest of a file that was seen the day after its last one, and again every so many days until `on`.

    Its frauds, `FRAUDS` a day, become known as `truth` has it: the share that is known at an age in days.
    """
    came = first + timedelta(days)
    looks = [came + timedelta(n) for n in range(0, (on - came).days + 1, look)]
    frauds, parts = {}, {}
    for day in (first + timedelta(n) for n in range(days)):
        known, counts = 0, {}
        for seen in looks:
            now = round(FRAUDS * truth((seen - day).days))
            if now > known:
                counts[str(seen)], known = now - known, now
        frauds[str(day)] = counts
        parts[f"day={day}/x.parquet"] = 1000
    return {"first_seen": str(came), "frauds": frauds, "parts": parts}


def lake_of(truth, on=END, look=1, start=START):
    weeks = (start + timedelta(7 * number) for number in range((on - start).days // 7))
    return [file(first, 7, truth, on, look) for first in weeks]


def geometric(half):
    return lambda age: 1 - 0.5 ** (age / half)


@pytest.mark.parametrize("half", [1.0, 3.0, 6.0])
def test_the_estimate_is_the_truth_although_young_days_are_not_followed_to_their_end(half):
    truth = geometric(half)
    found = ripening.estimate(lake_of(truth), END)
    final = truth(ripening.OLDEST)
    for age in range(7, 35):  # from the age on at which every day has come
        assert found.at(age) == pytest.approx(truth(age) / final, abs=0.02)
    expected = next(delay for delay in range(7, 29) if delay == 28 or truth(delay + 1) / final >= 0.95)
    assert abs(found.delay - expected) <= 1
    assert f"labels are taken as known after {found.delay} days, when" in found.why


def test_who_counts_young_days_as_whole_takes_late_labels_for_rare():
    """The defect that reverse time avoids: half of what is seen are days too young to have late labels."""
    truth, on = geometric(6.0), START + timedelta(42)
    found = ripening.observed(lake_of(truth, on), on)
    naive = sum(count for age, _, count, _ in found if age <= 14) / sum(count for _, _, count, _ in found)
    assert ripening.shares(found)[13] < naive - 0.02


def test_each_age_is_estimated_from_days_that_are_as_old():
    """By hand: of 10 and 10 frauds 5 come on day 2, of the one day that is as old."""
    found = ripening.shares([(1, 2, 10, False), (2, 2, 5, True), (1, 1, 10, False)])
    assert found[:3] == [pytest.approx(10 / 15), 1.0, 1.0]


def never(age):
    return 1.0


@pytest.mark.parametrize(
    ("manifests", "why"),
    [
        ([], "no corrected file has brought a fraud yet"),
        (lake_of(never), "no corrected file has brought a fraud yet"),
        ([{"parts": {"day=2018-04-02/x.parquet": 5}}], "no corrected file has brought a fraud yet"),  # an older version
        (lake_of(geometric(5.0), START + timedelta(28)), "there are 0"),
    ],
)
def test_with_too_little_evidence_the_delay_is_seven_days_and_says_why(manifests, why):
    found = ripening.estimate(manifests, END if not manifests else START + timedelta(28))
    assert (found.delay, found.known) == (7, [])
    assert why in found.why
    ripening.check_ripe(split_as_of(END + timedelta(30)), found)  # nothing is known, so nothing is refused


def test_a_lake_that_is_loaded_at_once_says_nothing_about_its_old_days():
    """All files come on one day: an old day's frauds were not known that late, only seen."""
    at_once = [
        {**one, "first_seen": str(END), "frauds": {day: {str(END): 60} for day in one["frauds"]}}
        for one in lake_of(never)
    ]
    assert {age for age, *_ in ripening.observed(at_once, END)} == set(range(1, 9))


def test_the_lakes_day_is_today_where_it_lives_and_its_newest_day_where_it_is_of_the_past():
    newest = date(2026, 6, 1)
    assert ripening.lake_day(newest, date(2026, 6, 20)) == date(2026, 6, 20)
    assert ripening.lake_day(newest, date(2026, 9, 1)) == date(2026, 6, 2)


def windows(truth, as_of=None, ripe=0.95):
    manifests = [{**one, "digest": "x"} for one in lake_of(truth)]
    return training.windows(manifests, as_of, training.Settings(train_days=14, ripe=ripe), date(2026, 1, 1))


def test_a_retrain_waits_until_labels_are_ripe():
    as_of, split, _, found = windows(geometric(4.0))
    assert 7 < found.delay < 28
    assert as_of == END
    assert split == split_as_of(END, 14, found.delay)
    assert (split.test.last, split.delay.last) == (
        END - timedelta(found.delay + 1),
        split.test.first - timedelta(1),
    )
    early = windows(geometric(4.0), ripe=0.5)
    assert early[1] == split_as_of(END, 14, 7)


def test_a_test_week_that_is_not_ripe_is_refused():
    with pytest.raises(RetrainingError, match=rf"is not ripe: on {END} .* choose --as-of {END} or earlier"):
        windows(geometric(4.0), as_of=END + timedelta(5))
    with pytest.raises(RetrainingError, match=r"29 days old, and at that age .* 95% are needed; see why labels come"):
        windows(geometric(12.0))
    assert windows(geometric(12.0), ripe=0.7)[3].delay < 28


# ------------------------------------------------------------------------------------------------ in the lake
def labelled(numbers, frauds, day):
    return [line(number, day)[: -len("0,0")] + ("1,2" if number in frauds else "0,0") for number in numbers]


def test_prepare_keeps_when_frauds_became_known(spark, tmp_path):
    """Two of a day's rows are frauds at first; a week later one more, one moves to another row, and a row comes."""
    lake = Lake(spark, str(tmp_path))
    write(tmp_path, "2018-04-01.txt", labelled(range(60), {1, 2}, 1))
    prepare(lake, "one")
    first = {"first_seen": "2018-04-02", "frauds": {"2018-04-01": {"2018-04-02": 2}}}
    assert {key: lake.manifests()["2018-04-01.txt"][key] for key in first} == first
    write(tmp_path, "2018-04-01.txt", labelled(range(61), {1, 3, 4, 60}, 1))
    write(tmp_path, "2018-04-08.txt", labelled(range(100, 160), {100}, 8))
    prepare(lake, "two")
    manifest = lake.manifests()["2018-04-01.txt"]
    assert manifest["frauds"] == {"2018-04-01": {"2018-04-02": 2, "2018-04-09": 3}}
    assert manifest["corrected"] == {"labels": 3, "added": 1, "removed": 0}
    assert lake.manifests()["2018-04-08.txt"]["frauds"] == {"2018-04-08": {"2018-04-09": 1}}
    found = ripening.observed(lake.manifests().values(), date(2018, 4, 9))
    assert sorted(found) == [(1, 1, 1, False), (1, 8, 2, False), (8, 8, 3, True)]


def test_a_file_of_an_earlier_version_tells_nothing_when_it_is_corrected(spark, tmp_path):
    lake = Lake(spark, str(tmp_path))
    write(tmp_path, "2018-04-01.txt", labelled(range(60), {1}, 1))
    prepare(lake, "one")
    old = {
        key: value for key, value in lake.manifests()["2018-04-01.txt"].items() if key not in ("first_seen", "frauds")
    }
    lake.files.write_json("manifest/2018-04-01.txt.json", old, replace=True)
    write(tmp_path, "2018-04-01.txt", labelled(range(60), {1, 2}, 1))
    prepare(lake, "two")
    assert not {"first_seen", "frauds"} & set(lake.manifests()["2018-04-01.txt"])
