"""The features by their definitions, row by row, with loops: slow, and independent of how Spark computes them."""

from __future__ import annotations

from fractions import Fraction

DAY = 86400
EPOCH_WEEKDAY = 6  # the tests' time 0 is 2018-04-01, a Sunday


def features(rows):
    """Features by row number; rows are dictionaries with t, customer, terminal, cents, fraud in the order of ids.

    ``fraud`` is None where the label has not arrived: such a row counts, and tells nothing.
    """
    rows = [dict(row, id=number) for number, row in enumerate(rows)]
    cards = group(rows, "customer")
    for row in rows:
        plain = mean(usual_window(cards[row["customer"]], row))
        row["usual"] = plain is None or row["cents"] <= Fraction(5, 2) * plain
    for row in rows:
        robust = mean([other for other in usual_window(cards[row["customer"]], row) if other["usual"]])
        row["ratio"] = row["cents"] / robust if robust else None
        row["high"] = robust is not None and row["cents"] > Fraction(5, 2) * robust
        row["explained"] = row["fraud"] == 1 and (row["high"] or row["cents"] > 22_000)
    terminals = group(rows, "terminal")
    return [one(row, cards[row["customer"]], terminals[row["terminal"]]) for row in rows]


def group(rows, key):
    groups = {}
    for row in sorted(rows, key=lambda row: (row["t"], row["id"])):
        groups.setdefault(row[key], []).append(row)
    return groups


def mean(rows):
    return Fraction(sum(row["cents"] for row in rows), len(rows)) if rows else None


def usual_window(card, row):
    return [other for other in card if row["t"] - 30 * DAY < other["t"] < row["t"]]


def one(row, card, terminal):
    t = row["t"]
    found = {
        "tx_amount": row["cents"] / 100,
        "tx_during_weekend": int((t // DAY + EPOCH_WEEKDAY) % 7 >= 5),
        "tx_during_night": int(t % DAY // 3600 <= 6),
    }
    for days in (1, 7, 30):
        window = [
            other for other in card if t - days * DAY < other["t"] and (other["t"], other["id"]) <= (t, row["id"])
        ]
        found[f"customer_id_nb_tx_{days}day_window"] = len(window)
        found[f"customer_id_avg_amount_{days}day_window"] = float(mean(window) / 100)
        window = [other for other in terminal if t - (7 + days) * DAY < other["t"] <= t - 7 * DAY]
        labels = [other["fraud"] for other in window if other["fraud"] is not None]
        found[f"terminal_id_nb_tx_{days}day_window"] = len(window)
        found[f"terminal_id_risk_{days}day_window"] = sum(labels) / len(labels) if labels else 0.0
    lately = [other for other in card if t - 14 * DAY < other["t"] < t and other["high"]]
    found["tx_amount_is_high"] = int(row["cents"] > 22_000)
    found["customer_id_amount_ratio"] = None if row["ratio"] is None else float(row["ratio"])
    found["customer_id_nb_high_ratio_14day_window"] = len(lately)
    found["customer_id_days_since_first_high_ratio"] = (t - lately[0]["t"]) / DAY if lately else None
    return {**found, **spell(row, terminal)}


def spell(row, terminal):
    t, oldest = row["t"], row["t"] - 37 * DAY
    told = [other for other in terminal if other["fraud"] is not None and not other["explained"]]
    telling = [other for other in told if other["t"] <= t - 7 * DAY]
    seen = [other for other in telling if other["t"] > oldest]
    genuine = [other["t"] for other in seen if not other["fraud"]]
    run = []
    for other in reversed(seen):
        if not other["fraud"]:
            break
        run.append(other)
    start = None
    for other in reversed(telling if run else []):
        if not other["fraud"] or (start is not None and start - other["t"] >= 30 * DAY):
            break
        start = other["t"]
    return {
        "terminal_id_spell_length": len(run),
        "terminal_id_last_label": seen[-1]["fraud"] if seen else None,
        "terminal_id_days_since_spell_start": (t - max(start, oldest)) / DAY if run else None,
        "terminal_id_days_since_genuine": (t - genuine[-1]) / DAY if genuine else None,
    }
