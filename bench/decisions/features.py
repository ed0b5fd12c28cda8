"""The application's features by NumPy, for worlds in memory: a second for half a million rows, where Spark takes eight.

`tests/bench/test_world.py` compares every column with Spark's, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fraud_retraining.features import (
    ALL_FEATURES,
    ANOMALY_DAYS,
    DAY,
    DELAY_DAYS,
    HIGH_CENTS,
    HIGH_RATIO,
    SPELL_DAYS,
    STRICTLY_BEFORE,
    USUAL_DAYS,
    WINDOWS,
)
from simulator import Rows

NULL = np.nan
UNKNOWN = -1  # a label that has not arrived
ROOM = 1000 * DAY  # more than any window is long, and any world


@dataclass(frozen=True)
class Keyed:
    """Rows sorted by a key and then by time (ids run in the order of time)."""

    order: np.ndarray
    second: np.ndarray
    place: np.ndarray  # key and second in one ascending integer
    first: np.ndarray  # index of the first row with the row's key

    @classmethod
    def of(cls, key: np.ndarray, second: np.ndarray) -> Keyed:
        order = np.argsort(key, kind="stable")
        place = key[order] * (2 * ROOM) + ROOM + second[order]
        return cls(order, second[order], place, np.searchsorted(key[order], key[order]))

    def until(self, age: int) -> np.ndarray:
        """Number of all rows before the end of the key's rows that are not younger than `age` seconds."""
        return np.searchsorted(self.place, self.place - age, side="right")

    def back(self, values: np.ndarray) -> np.ndarray:
        """Values of sorted rows in the order of the world's."""
        result = np.empty_like(values)
        result[self.order] = values
        return result


def prefix(values: np.ndarray) -> np.ndarray:
    """Sum of the first n values, for each n."""
    return np.append(0, np.cumsum(values, dtype="int64"))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)


def latest(marked: np.ndarray, until: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Index of the key's last marked row among those before `until`; -1 if there is none."""
    index = np.append(-1, np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1)))[until]
    return np.where(index >= first, index, -1)


def all_features(rows: Rows, label: np.ndarray) -> dict[str, np.ndarray]:
    """`ALL_FEATURES`, and `newest_fraud`: days since the newest visible fraud that the terminal explains.

    Args:
        label: 0, 1, or UNKNOWN, of every row.
    """
    cents = np.round(rows.amount * 100).astype("int64")
    columns = {
        "tx_amount": rows.amount,
        "tx_during_weekend": weekday(rows.second) >= 5,
        "tx_during_night": rows.second % DAY // 3600 <= 6,
        "tx_amount_is_high": cents > HIGH_CENTS,
        **of_customer(Keyed.of(rows.customer, rows.second), cents),
    }
    high = columns.pop("high")
    explained = (label == 1) & (high | columns["tx_amount_is_high"])
    telling = np.where(explained, UNKNOWN, label)
    columns.update(of_terminal(Keyed.of(rows.terminal, rows.second), label, telling))
    return {name: columns[name].astype("float64") for name in (*ALL_FEATURES, "newest_fraud")}


def weekday(second: np.ndarray) -> np.ndarray:
    """Worlds begin on a Sunday, as the lake does (2018-04-01)."""
    return (second // DAY + 6) % 7


def is_above(cents: np.ndarray, total: np.ndarray, count: np.ndarray) -> np.ndarray:
    over, under = HIGH_RATIO
    return (count > 0) & (under * cents * count > over * total)


def of_customer(keyed: Keyed, cents: np.ndarray) -> dict[str, np.ndarray]:
    cents, here = cents[keyed.order], np.arange(len(cents)) + 1
    total, columns = prefix(cents), {}
    for days in WINDOWS:
        old = keyed.until(days * DAY)
        columns[f"customer_id_nb_tx_{days}day_window"] = here - old
        columns[f"customer_id_avg_amount_{days}day_window"] = ratio((total[here] - total[old]) / 100, here - old)
    new, old = keyed.until(STRICTLY_BEFORE), keyed.until(USUAL_DAYS * DAY)
    usual = ~is_above(cents, total[new] - total[old], new - old)
    count, total = prefix(usual), prefix(usual * cents)
    usual_count, usual_total = count[new] - count[old], total[new] - total[old]
    high = is_above(cents, usual_total, usual_count)
    mean = np.divide(usual_total, usual_count, out=np.full(len(cents), NULL), where=usual_total > 0)
    columns["customer_id_amount_ratio"] = cents / mean
    columns.update(of_high_amounts(keyed, high, new))
    return {name: keyed.back(values) for name, values in {**columns, "high": high}.items()}


def of_high_amounts(keyed: Keyed, high: np.ndarray, new: np.ndarray) -> dict[str, np.ndarray]:
    old = keyed.until(ANOMALY_DAYS * DAY)
    count, size = prefix(high), len(high)
    following = np.minimum.accumulate(np.where(high, np.arange(size), size)[::-1])[::-1]  # the next high row
    first = np.append(following, size)[old]
    seen = first < new
    since = np.where(seen, (keyed.second - keyed.second[np.minimum(first, size - 1)]) / DAY, NULL)
    return {
        "customer_id_nb_high_ratio_14day_window": count[new] - count[old],
        "customer_id_days_since_first_high_ratio": since,
    }


def of_terminal(keyed: Keyed, label: np.ndarray, telling: np.ndarray) -> dict[str, np.ndarray]:
    label, telling = label[keyed.order], telling[keyed.order]
    known, frauds, columns = prefix(label != UNKNOWN), prefix(label == 1), {}
    visible = keyed.until(DELAY_DAYS * DAY)
    for days in WINDOWS:
        old = keyed.until((DELAY_DAYS + days) * DAY)
        columns[f"terminal_id_nb_tx_{days}day_window"] = visible - old
        risk = ratio(frauds[visible] - frauds[old], known[visible] - known[old])
        columns[f"terminal_id_risk_{days}day_window"] = risk
    columns.update(of_spell(keyed, telling, visible))
    return {name: keyed.back(values) for name, values in columns.items()}


def of_spell(keyed: Keyed, label: np.ndarray, visible: np.ndarray) -> dict[str, np.ndarray]:
    second, first, here = keyed.second, keyed.first, np.arange(len(label))
    previous = latest(label != UNKNOWN, here, first)
    long_ago = (previous < 0) | (second - second[previous] >= SPELL_DAYS * DAY)
    starts = (label == 1) & (long_ago | (label[previous] == 0))

    frauds = prefix(label == 1)
    genuine, start = latest(label == 0, visible, first), latest(starts, visible, first)
    old = keyed.until((DELAY_DAYS + SPELL_DAYS) * DAY)
    before = np.maximum(np.where(genuine >= 0, frauds[genuine + 1], frauds[first]), frauds[np.maximum(old, first)])
    length = frauds[visible] - np.minimum(before, frauds[visible])

    oldest = second - (DELAY_DAYS + SPELL_DAYS) * DAY
    seen_genuine = (genuine >= 0) & (second[genuine] > oldest)
    since_start = (second - np.maximum(np.where(start >= 0, second[start], oldest), oldest)) / DAY
    newest = latest(label == 1, visible, first)
    return {
        "terminal_id_spell_length": length,
        "terminal_id_last_label": np.where(length > 0, 1.0, np.where(seen_genuine, 0.0, NULL)),
        "terminal_id_days_since_spell_start": np.where(length > 0, since_start, NULL),
        "terminal_id_days_since_genuine": np.where(seen_genuine, (second - second[genuine]) / DAY, NULL),
        "newest_fraud": np.where(length > 0, (second - second[newest]) / DAY, NULL),
    }
