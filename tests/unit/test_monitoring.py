"""Drift without a cluster: the arithmetic against independent references, the two-of-five rule, samples, findings."""

import gzip
import io
import json
import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.retraining import drift, monitoring, raw_files

NOW = datetime(2018, 5, 20, tzinfo=UTC)
COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=12)


# ------------------------------------------------------------------------------------------------ arithmetic
def test_psi_of_a_value_computed_by_hand() -> None:
    # shares .5 .3 .2 and .4 .4 .2: (-.1)(ln .8) + (.1)(ln 4/3) + 0 = .0223144 + .0287682
    assert drift.psi([50, 30, 20], [8, 8, 4]) == pytest.approx(0.0510826, abs=1e-7)


@given(st.data())
def test_psi_is_the_sum_of_both_relative_entropies(data: Any) -> None:
    expected = data.draw(COUNTS.filter(any))
    found = data.draw(st.lists(st.integers(0, 10_000), min_size=len(expected), max_size=len(expected)).filter(any))
    p = np.maximum(np.array(expected) / sum(expected), 1e-4)
    q = np.maximum(np.array(found) / sum(found), 1e-4)
    reference = np.sum(q * np.log(q / p)) + np.sum(p * np.log(p / q))
    assert drift.psi(expected, found) == pytest.approx(reference, abs=1e-9)
    assert drift.psi(expected, found) == pytest.approx(drift.psi(found, expected), abs=1e-9)
    assert drift.psi(expected, expected) == 0


def test_psi_of_nothing_is_nothing_and_of_other_bins_an_error() -> None:
    assert drift.psi([0, 0], [1, 2]) == 0
    with pytest.raises(ValueError, match="histograms of 2 and 3 bins"):
        drift.psi([1, 2], [1, 2, 3])


@given(
    st.dictionaries(st.integers(-40, 40), st.integers(1, 500)), st.dictionaries(st.integers(-40, 40), st.integers(1))
)
def test_coarse_bins_lose_no_row(expected: dict[int, int], found: dict[int, int]) -> None:
    left, right = drift.coarsen(expected, found)
    assert (sum(left), sum(right)) == (sum(expected.values()), sum(found.values()))
    assert len(left) == len(right) <= drift.BINS
    assert all(count >= sum(left) / drift.BINS for count in left[:-1])


# ------------------------------------------------------------------------------------------------ two of five
def windows(*violating: int) -> list[dict[str, Any]]:
    return [{"name": f"w{n}", "violations": ["x"] if n in violating else []} for n in range(8)]


@pytest.mark.parametrize(
    ("violating", "asked", "wanted"),
    [
        ((), [], []),
        ((7,), [], []),
        ((6, 7), [], ["w6", "w7"]),
        ((3, 7), [], ["w3", "w7"]),
        ((2, 7), [], []),  # one of the two is older than the last five
        ((3, 5, 7), ["w3"], ["w5", "w7"]),
        ((3, 5), ["w3", "w5"], []),  # asked for already
        ((3, 5, 7), ["w3", "w5"], []),
    ],
)
def test_two_of_the_last_five_windows(violating: tuple[int, ...], asked: list[str], wanted: list[str]) -> None:
    assert [window["name"] for window in monitoring.enough(windows(*violating), asked)] == wanted


# ------------------------------------------------------------------------------------------------ raw files
def row(number: int, amount: str = "10.00", time: str = "2018-04-01 13:00:00") -> bytes:
    return f"{number},{time},1,1,{amount},46800,0,0,0".encode()


def test_rows_are_counted_and_what_is_no_row_too() -> None:
    bad = [
        b"",
        b"1,2,3",
        row(1, amount="-1"),
        row(1, amount="x"),
        row(1, time="noon"),
        row(1, time="2018-04-01 25:00:00"),
    ]
    found = raw_files.count([b"# tranaction_id | tx_datetime", row(1), row(2, "11.00"), row(3, "80.0"), *bad])
    assert (found["rows"], found["bad"]) == (9, 6)
    assert found["hour"] == {13: 3}
    assert found["amount"] == {math.floor(4 * math.log2(10)): 2, math.floor(4 * math.log2(80)): 1}


class Store:
    """As much of an S3 client as the monitor uses; counts the bytes that were read."""

    def __init__(self, **objects: bytes) -> None:
        self.content, self.read, self.modified = dict(objects), 0, {}
        self.exceptions = SimpleNamespace(NoSuchKey=KeyError)

    def put_object(self, Bucket: str, Key: str, Body: Any) -> None:
        self.content[Key] = Body.read()

    def get_object(self, Bucket: str, Key: str, Range: str = "bytes=0-") -> dict[str, Any]:
        first, last = Range.removeprefix("bytes=").split("-")
        piece = self.content[Key][int(first) : int(last) + 1 if last else None]
        self.read += len(piece)
        return {"Body": io.BytesIO(piece)}

    def get_paginator(self, name: str) -> Any:
        def paginate(Bucket: str, Prefix: str, Delimiter: str) -> list[Any]:
            keys = [key for key in self.content if key.startswith(Prefix) and "/" not in key[len(Prefix) :]]
            return [{"Contents": [self.item(key) for key in sorted(keys)]}]

        return SimpleNamespace(paginate=paginate)

    def item(self, key: str) -> dict[str, Any]:
        content = self.content[key]
        return {
            "Key": key,
            "Size": len(content),
            "ETag": str(hash(content)),
            "LastModified": self.modified.get(key, NOW - timedelta(days=1)),
        }

    def put(self, key: str, value: Any) -> None:
        self.content[key] = value if isinstance(value, bytes) else json.dumps(value).encode()


def test_a_large_file_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_files, "BLOCK", 2000)
    monkeypatch.setattr(raw_files, "BLOCKS", 10)
    content = b"\n".join(row(number) for number in range(20_000))
    store = Store(big=content)
    numbers = [int(line.split(b",")[0]) for line in raw_files.sample(store, "b", "big", len(content))]
    assert store.read == 20_000
    assert numbers == sorted(set(numbers))
    assert (min(numbers) < 50, max(numbers) > 19_900) == (True, True)
    assert raw_files.count(raw_files.sample(store, "b", "big", len(content)))["bad"] == 0


def test_a_packed_file_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_files, "MOST_ROWS", 30)
    content = gzip.compress(b"\r\n".join(row(number) for number in range(100)))
    found = list(raw_files.sample(Store(**{"f.gz": content}), "b", "f.gz", len(content)))
    assert (len(found), found[29]) == (30, row(29))


@pytest.mark.parametrize(
    ("names", "known", "later"),
    [
        (["2018-04-01", "2018-04-08", "2018-04-15", "2018-04-22"], ["2018-04-08", "2018-04-15"], ["2018-04-22"]),
        (["2018-04-01", "2018-05-01"], ["2018-04-01"], ["2018-05-01"]),  # monthly: the month that holds the windows
        (["2018-05-01"], [], ["2018-05-01"]),
    ],
)
def test_files_belong_to_the_training_or_came_later(names: list[str], known: list[str], later: list[str]) -> None:
    assert raw_files.split(names, ["2018-04-14", "2018-04-21"], "2018-04-08") == (known, later)


# ------------------------------------------------------------------------------------------------ findings
SETTINGS = {"lake_bucket": "lake", "model": "fraud"}
REFERENCE = {
    "model": "fraud",
    "version": "3",
    "run_id": "r3",
    "as_of": "2018-05-06",
    "average_precision": 0.7,
    "windows": {"train": ["2018-04-01", "2018-04-14"], "delay": [], "test": ["2018-04-22", "2018-04-28"]},
    "histograms": {
        "tx_amount": {"edges": [10], "counts": [50, 50, 0]},
        "score": {"edges": [0.1], "counts": [90, 10, 0]},
    },
}


def run(number: int, score: list[int], precision: float = 0.7, version: str = "3") -> dict[str, Any]:
    return {
        "run_id": f"r{number}",
        "model": "fraud",
        "version": version,
        "as_of": f"2018-06-{number:02}",
        "average_precision": precision,
        "counts": {"tx_amount": [49, 51, 0], "score": score},
    }


def measure(store: Store, **settings: Any) -> dict[str, Any]:
    return monitoring.measure(store, SETTINGS | settings, "3", NOW)


@pytest.fixture
def store() -> Store:
    store = Store()
    store.put("monitor/reference/fraud-3.json", REFERENCE)
    for day in ("04-01", "04-08", "04-15", "04-22", "04-29"):
        store.put(f"raw/2018-{day}.txt", b"\n".join(row(n, f"{10 + n % 90}") for n in range(900)))
    return store


def test_data_like_those_of_the_training_are_fine(store: Store) -> None:
    store.put("monitor/runs/r4.json", run(4, [90, 10, 0]))
    findings = measure(store)
    assert (findings["alarms"], findings["because"]) == ([], [])
    assert [window["name"] for window in findings["files"]] == ["2018-04-29.txt:v3"]
    assert findings["files"][0]["psi"] == {"amount": 0, "hour": 0}
    assert findings["runs"][0]["psi"]["tx_amount"] == pytest.approx(0.0004, abs=1e-4)
    assert json.loads(store.content[monitoring.REPORT]) == findings
    assert "no retrain is wanted" in monitoring.text(findings)


def test_scores_that_drift_in_two_runs_ask_for_a_retrain_once(store: Store) -> None:
    store.put("monitor/runs/r4.json", run(4, [50, 50, 0]))
    assert measure(store)["because"] == []
    store.put("monitor/runs/r5.json", run(5, [50, 50, 0]))
    store.put("monitor/runs/r6.json", run(6, [0, 100, 0], version="2"))  # another champion's
    findings = measure(store)
    assert findings["windows"] == ["r4:v3", "r5:v3"]
    assert findings["because"][0] == "r4:v3 PSI of score is 0.88, at most 0.25 is allowed"
    for _ in range(2):
        monitoring.remember(store, "lake", findings["windows"], "monitor__r5:v3")
    assert json.loads(store.content[monitoring.STATE])["asked"] == ["r4:v3", "r5:v3"]
    assert measure(store)["because"] == []


def test_a_champion_that_gets_worse_as_labels_arrive_asks_for_a_retrain(store: Store) -> None:
    for number in (4, 5):
        store.put(f"monitor/runs/r{number}.json", run(number, [90, 10, 0], precision=0.6))
    assert len(measure(store)["because"]) == 2
    assert "average precision 0.600, the champion won with 0.700" in measure(store)["because"][0]
    assert measure(store, monitor={"max_loss": 0.2})["because"] == []


def test_new_files_that_drift_ask_for_a_retrain(store: Store) -> None:
    for day in ("05-06", "05-13"):
        store.put(f"raw/2018-{day}.txt", b"\n".join(row(n, f"{100 + n % 90}") for n in range(900)))
    assert measure(store)["windows"] == ["2018-05-06.txt:v3", "2018-05-13.txt:v3"]


def test_a_file_is_counted_once_and_again_when_it_has_changed(store: Store) -> None:
    measure(store)
    store.read = 0
    measure(store)
    kept = store.read
    store.put("raw/2018-04-29.txt", b"\n".join(row(n, f"{10 + n % 90}") for n in range(1000)))
    measure(store)
    assert store.read - kept > 40_000 > kept


def test_a_stale_lake_and_many_bad_rows_are_for_a_person(store: Store) -> None:
    store.modified = {f"raw/2018-{day}.txt": NOW - timedelta(days=9) for day in ("04-01", "04-08", "04-15", "04-22")}
    for name in ("04-25", "04-29"):  # brought in the same second: the newest is that of the newest days
        store.modified[f"raw/2018-{name}.txt"] = NOW - timedelta(days=8.5)
    store.put("manifest/2018-04-29.txt.json", {"file": "2018-04-29.txt", "rows": 1000, "quarantined": {"columns": 6}})
    findings = measure(store)
    assert findings["alarms"] == [
        "no raw file for 8.5 days, at most 8 are allowed; the newest is 2018-04-29.txt",
        "2018-04-29.txt: 0.60% of the rows are in quarantine, at most 0.50% are allowed",
    ]
    assert findings["because"] == []
    assert measure(store, monitor={"max_age_days": 9, "max_quarantine": 0.01})["alarms"] == []


def test_without_a_champion_only_the_lake_is_looked_at(store: Store) -> None:
    findings = monitoring.measure(store, SETTINGS, None, NOW)
    assert (findings["files"], findings["runs"], findings["alarms"]) == ([], [], [])
    (alarm,) = monitoring.measure(store, SETTINGS, "9", NOW)["alarms"]
    assert "version 9 has no reference" in alarm
