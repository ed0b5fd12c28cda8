"""Features of a transaction, exact and in event time: nothing from its future, no label younger than the delay.

A trailing window of w seconds is the difference of two growing frames: the prefix up to the row minus the prefix up
to ``t - w``. Growing frames cost one addition a row, a sliding RANGE frame costs the rows of the window. Sums run over
integer cents, so the difference loses nothing. All times are UTC seconds; a window (t - w, t] holds its newest edge
and not its oldest.

Definitions of the handbook's features: Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for
Credit Card Fraud Detection", 2022, chapter 3, "Baseline feature transformation".
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Sequence, Tuple

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from fraud_retraining.quality import PREPARED_SCHEMA

DAY = 86400
WINDOWS = (1, 7, 30)
DELAY_DAYS = 7

CUSTOMER_FEATURES = [
    name
    for days in WINDOWS
    for name in (f"customer_id_nb_tx_{days}day_window", f"customer_id_avg_amount_{days}day_window")
]
TERMINAL_FEATURES = [
    name for days in WINDOWS for name in (f"terminal_id_nb_tx_{days}day_window", f"terminal_id_risk_{days}day_window")
]
HANDBOOK_FEATURES: List[str] = [
    "tx_amount",
    "tx_during_weekend",
    "tx_during_night",
    *CUSTOMER_FEATURES,
    *TERMINAL_FEATURES,
]
ANOMALY_FEATURES: List[str] = [
    "tx_amount_is_high",
    "customer_id_amount_ratio",
    "customer_id_nb_high_ratio_14day_window",
    "customer_id_days_since_first_high_ratio",
]
SPELL_FEATURES: List[str] = [
    "terminal_id_last_label",
    "terminal_id_spell_length",
    "terminal_id_days_since_spell_start",
    "terminal_id_days_since_genuine",
]
ALL_FEATURES: List[str] = [*HANDBOOK_FEATURES, *ANOMALY_FEATURES, *SPELL_FEATURES]

HIGH_RATIO = (5, 2)  # 2.5 times what is usual for the card
HIGH_CENTS = 22_000  # the simulator's first scenario: every amount above 220 is a fraud
USUAL_DAYS = 30  # what is usual for a card: its transactions of so many days
ANOMALY_DAYS = 14
STRICTLY_BEFORE = 1  # seconds: the resolution of event time
USUAL_EDGES = (STRICTLY_BEFORE, USUAL_DAYS * DAY)
ANOMALY_EDGES = (STRICTLY_BEFORE, ANOMALY_DAYS * DAY)
LABEL = 1 << 32  # two counts in one sum: transactions below it, those with a label above
SPELL_DAYS = 30  # how far back, behind the delay, a terminal's labels matter

# Days before a row that its features look at. A spell's start needs the spell window twice (its rows, and what came
# before each of them), and each of these rows the card's usual amounts, which take two windows.
HISTORY_DAYS = DELAY_DAYS + 2 * SPELL_DAYS + 2 * USUAL_DAYS


Columns = Dict[str, Column]


def handbook_features(df: DataFrame) -> DataFrame:
    """Prepared rows plus ``HANDBOOK_FEATURES``; exact if ``df`` has the 37 days before a row."""
    df = by_time(with_time(df), "customer_id").withColumns({**customer_so_far(), **customer_prefixes()})
    df = df.withColumns(customer_windows())  # a step of its own: the parts end before the next sort
    df = by_time(df, "terminal_id").withColumns(terminal_prefixes())
    df = df.withColumns({**time_flags(), **terminal_windows()})
    return df.select(*PREPARED_SCHEMA, *[name for name in HANDBOOK_FEATURES if name not in PREPARED_SCHEMA])


def all_features(df: DataFrame, keep: Sequence[str] = ()) -> DataFrame:
    """Prepared rows plus ``ALL_FEATURES``; exact if ``df`` has the ``HISTORY_DAYS`` before a row.

    Other columns of ``df`` are gone, but those that ``keep`` names.

    Each step names columns that the next one needs. Steps of one key and one order share a sort, and one window
    operator computes all frames of a step.
    """
    df = by_time(with_time(df, keep), "customer_id").withColumns({**customer_so_far(), **customer_prefixes()})
    df = df.withColumns({**customer_windows(), "usual": is_usual()})
    df = df.withColumns(usual_prefixes())
    df = df.withColumns({"high": is_high(), **amount_ratio()})
    df = df.withColumns(high_parts())
    df = df.withColumns({**high_ratios(), "label": terminal_label()})
    df = by_time(df, "terminal_id").withColumns(spell_parts())
    df = df.withColumn("start", spell_start()).withColumns({**terminal_prefixes(), **spell_state()})
    df = df.withColumns({**time_flags(), **terminal_windows(), **spells()})
    return df.select(*keep, *PREPARED_SCHEMA, *[name for name in ALL_FEATURES if name not in PREPARED_SCHEMA])


def with_time(df: DataFrame, keep: Sequence[str] = ()) -> DataFrame:
    """The prepared columns, ``t`` (event time, UTC epoch seconds) and ``cents`` (amount as an integer)."""
    return df.select(
        *keep,
        *PREPARED_SCHEMA,
        F.col("tx_datetime").cast("long").alias("t"),
        F.round(F.col("tx_amount") * 100).cast("long").alias("cents"),
    )


def by_time(df: DataFrame, key: str) -> DataFrame:
    """The rows of each key together, by time, those of the same second by id.

    Frames that ask for the order of time alone keep this one, and so one window operator computes all of them.

    They are sorted by one 64-bit number of key and time first, which Spark does by radix, comparing no rows. Of a large
    key it holds the low bits only, so nothing hangs on it: the sort behind it is exact, and finds the rows in order.
    """
    nearly = df.repartition(key).sortWithinPartitions(F.shiftleft(F.col(key), 32).bitwiseOR(F.col("t")))
    held = nearly.where(F.spark_partition_id() >= 0)  # always true; else Spark drops a sort below another one
    return held.sortWithinPartitions(key, "t", "transaction_id")


def until(key: str, seconds: int) -> WindowSpec:
    """Growing frame of the key's rows not younger than ``t - seconds``."""
    return Window.partitionBy(key).orderBy("t").rangeBetween(Window.unboundedPreceding, -seconds)


def in_order(key: str) -> WindowSpec:
    """The key's rows by time, those of the same second by id."""
    return Window.partitionBy(key).orderBy("t", "transaction_id")


def total(column: Column, frame: WindowSpec) -> Column:
    """Sum over a frame; an empty frame is 0."""
    return F.coalesce(F.sum(column).over(frame), F.lit(0))


def prefixes(key: str, ages: Iterable[int], **counted: Column) -> Columns:
    """``<name>_<age>``: sum over the key's rows not younger than ``t - age`` seconds, for each age.

    Each sum is written once and named: Spark computes equal window expressions as often as they are written.
    """
    return {f"{name}_{age}": total(column, until(key, age)) for age in ages for name, column in counted.items()}


def between(name: str, newest: int, oldest: int) -> Column:
    """Sum over the rows in (t - oldest, t - newest], in seconds, as the difference of two ``prefixes``."""
    return F.col(f"{name}_{newest}") - F.col(f"{name}_{oldest}")


def ratio(numerator: Column, denominator: Column) -> Column:
    """Quotient; 0 if nothing was counted."""
    return F.when(denominator > 0, numerator / denominator).otherwise(F.lit(0.0))


def time_flags() -> Columns:
    """Saturday or Sunday, and hour <= 6, each 0 or 1."""
    weekday = (F.floor(F.col("t") / DAY) + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    hour = F.floor(F.col("t") % DAY / 3600)
    return {"tx_during_weekend": (weekday >= 5).cast("int"), "tx_during_night": (hour <= 6).cast("int")}


def customer_so_far() -> Columns:
    """Count and cents of the customer up to the row itself; rows of the same second count in the order of their ids."""
    so_far = Window.partitionBy("customer_id").orderBy("t").rowsBetween(Window.unboundedPreceding, 0)  # see by_time
    return {"n": F.count(F.lit(1)).over(so_far), "sum": F.sum("cents").over(so_far)}


def customer_prefixes() -> Columns:
    """Count and cents of the customer strictly before t, and up to the old edge of each window."""
    ages = (STRICTLY_BEFORE, *[days * DAY for days in WINDOWS])
    return prefixes("customer_id", ages, n=F.lit(1), sum=F.col("cents"))


def customer_windows() -> Columns:
    """Count and mean amount of the customer's transactions in (t - w, t], the row itself included."""
    columns: Columns = {}
    for days in WINDOWS:
        count = F.col("n") - F.col(f"n_{days * DAY}")
        cents = F.col("sum") - F.col(f"sum_{days * DAY}")
        columns[f"customer_id_nb_tx_{days}day_window"] = count
        columns[f"customer_id_avg_amount_{days}day_window"] = ratio(cents / 100, count)
    return columns


def terminal_prefixes() -> Columns:
    """Count, labels and frauds of the terminal up to the new edge of its windows, and up to the old edge of each."""
    ages = [(DELAY_DAYS + days) * DAY for days in (0, *WINDOWS)]
    seen = F.when(F.col("tx_fraud").isNull(), 1).otherwise(1 + LABEL)
    return prefixes("terminal_id", ages, seen=seen, fraud=F.col("tx_fraud"))


def terminal_windows() -> Columns:
    """Count of the terminal's transactions in (t - delay - w, t - delay], and share of frauds of those with a label."""
    columns: Columns = {}
    for days in WINDOWS:
        edges = (DELAY_DAYS * DAY, (DELAY_DAYS + days) * DAY)
        seen = between("seen", *edges)
        columns[f"terminal_id_nb_tx_{days}day_window"] = seen.bitwiseAND(F.lit(LABEL - 1))
        columns[f"terminal_id_risk_{days}day_window"] = ratio(between("fraud", *edges), F.shiftright(seen, 32))
    return columns


def above(times: Tuple[int, int], cents: Column, count: Column) -> Column:
    """Whether the amount is more than ``times`` (a fraction) the mean ``cents / count``; in integers, so exact."""
    over, under = times
    return (count > 0) & (under * F.col("cents") * count > over * cents)


def is_usual() -> Column:
    """1 for an amount that is not high against the plain mean of the card's earlier transactions, of 30 days."""
    return (~above(HIGH_RATIO, between("sum", *USUAL_EDGES), between("n", *USUAL_EDGES))).cast("int")


def usual_prefixes() -> Columns:
    """Count and cents of the card's usual transactions up to both edges of the 30 days strictly before t."""
    usual = F.col("usual")
    return prefixes("customer_id", USUAL_EDGES, n_usual=usual, sum_usual=usual * F.col("cents"))


def is_high() -> Column:
    """1 for an amount that is high against the mean of the card's earlier usual transactions, its robust mean."""
    return above(HIGH_RATIO, between("sum_usual", *USUAL_EDGES), between("n_usual", *USUAL_EDGES)).cast("int")


def amount_ratio() -> Columns:
    """Amount over the card's robust mean (null without earlier usual transactions), and over the fixed threshold."""
    cents, count = between("sum_usual", *USUAL_EDGES), between("n_usual", *USUAL_EDGES)
    return {
        "customer_id_amount_ratio": F.when(cents > 0, F.col("cents") / (cents / count)),
        "tx_amount_is_high": (F.col("cents") > HIGH_CENTS).cast("int"),
    }


def high_parts() -> Columns:
    """The card's high amounts up to both edges of the 14 days strictly before t, and the first one's time.

    The first of a window is the least time of all rows not older than it: a growing frame towards the past. If that
    lies in the row's future, the window has none.
    """
    not_older = Window.partitionBy("customer_id").orderBy(F.col("t").desc())
    not_older = not_older.rangeBetween(Window.unboundedPreceding, ANOMALY_DAYS * DAY - 1)
    return {
        **prefixes("customer_id", ANOMALY_EDGES, high=F.col("high")),
        "first_high": F.min(F.when(F.col("high") == 1, F.col("t"))).over(not_older),
    }


def high_ratios() -> Columns:
    """Number of the card's high amounts in the 14 days strictly before t, and days since the first of them."""
    first = F.col("first_high")
    return {
        "customer_id_nb_high_ratio_14day_window": between("high", *ANOMALY_EDGES),
        "customer_id_days_since_first_high_ratio": F.when(first < F.col("t"), (F.col("t") - first) / DAY),
    }


def terminal_label() -> Column:
    """What a row tells about its terminal: its label, or null for a fraud that its card or its amount explains, and
    for a label that has not arrived."""
    explained = (F.col("tx_fraud") == 1) & ((F.col("high") == 1) | (F.col("tx_amount_is_high") == 1))
    return F.when(~explained, F.col("tx_fraud"))


def spell_parts() -> Columns:
    """Frauds of the terminal so far, and the label and time of its previous telling row."""
    order, label = in_order("terminal_id"), F.col("label")
    before = order.rowsBetween(Window.unboundedPreceding, -1)
    return {
        "frauds": total(label, order.rowsBetween(Window.unboundedPreceding, 0)),
        "previous": F.last(label, ignorenulls=True).over(before),
        "previous_t": F.last(F.when(label.isNotNull(), F.col("t")), ignorenulls=True).over(before),
    }


def spell_start() -> Column:
    """Time of a fraud that begins a spell: after a genuine row, or with nothing before it in the spell window."""
    first = F.col("previous_t").isNull() | (F.col("t") - F.col("previous_t") >= SPELL_DAYS * DAY)
    return F.when((F.col("label") == 1) & (first | (F.col("previous") == 0)), F.col("t"))


def spell_state() -> Columns:
    """What the terminal's newest visible labels say: time of the last genuine row, frauds since then, their start."""
    visible = until("terminal_id", DELAY_DAYS * DAY)
    genuine = F.col("label") == 0
    frauds_before = F.greatest(
        F.coalesce(F.max(F.when(genuine, F.col("frauds"))).over(visible), F.lit(0)),
        F.coalesce(F.max("frauds").over(until("terminal_id", (DELAY_DAYS + SPELL_DAYS) * DAY)), F.lit(0)),
    )
    return {
        "genuine_t": F.max(F.when(genuine, F.col("t"))).over(visible),
        "length": F.coalesce(F.max("frauds").over(visible), F.lit(0)) - frauds_before,
        "start_t": F.max("start").over(visible),
    }


def spells() -> Columns:
    """Run of frauds that ends with the terminal's newest label in (t - delay - 30 days, t - delay]: its length, days
    since its start (at most the window's), days since the last genuine row, and that newest label; null if unknown.
    """
    t, length = F.col("t"), F.col("length")
    oldest = t - (DELAY_DAYS + SPELL_DAYS) * DAY
    seen_genuine = F.col("genuine_t") > oldest
    return {
        "terminal_id_spell_length": length,
        "terminal_id_last_label": F.when(length > 0, 1).when(seen_genuine, 0),
        "terminal_id_days_since_spell_start": F.when(length > 0, (t - F.greatest(F.col("start_t"), oldest)) / DAY),
        "terminal_id_days_since_genuine": F.when(seen_genuine, (t - F.col("genuine_t")) / DAY),
    }
