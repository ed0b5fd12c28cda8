"""The generator: its bytes, its faults, its model, and its likeness to the real lake."""

import gzip
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.generator import handbook
from simulator import COLUMNS, HEADER, Faults, Generator, population
from simulator.__main__ import main
from simulator.population import within
from simulator.transactions import times_of_day

START = date(2018, 4, 1)
NO_FAULTS = Faults(**dict.fromkeys(asdict(Faults()), 0.0))
MANY_FAULTS = Faults(**dict.fromkeys(asdict(Faults()), 0.05))
PINNED = "f9f994277b07c5d9aef04aa6d46aaa0bc9ebff322e9b3cde4e213a330fa0ca72"
GOOD_ROW = re.compile(rb"\d+,\d{4}-\d\d-\d\d ([01]\d|2[0-3]):[0-5]\d:[0-5]\d,\d+,\d+,\d+\.\d+,\d+,\d+,(0,0|1,[123])")


def days_from(first: int, count: int) -> list[date]:
    return [START + timedelta(i) for i in range(first, first + count)]


def many_days(world: Generator, first: int, count: int) -> pl.DataFrame:
    return pl.concat(world.day(day) for day in days_from(first, count))


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()[1:]


# --- bytes ---


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**64),
    customers=st.integers(1, 300),
    terminals=st.integers(1, 600),
    first=st.integers(0, 60),
    count=st.integers(1, 6),
    data=st.data(),
)
def test_a_day_alone_equals_the_same_day_among_others(seed, customers, terminals, first, count, data):
    arguments = {"seed": seed, "customers": customers, "terminals": terminals, "faults": MANY_FAULTS}
    among_others = [Generator(**arguments).day(day) for day in days_from(first, count)]
    one_world = Generator(**arguments)
    order = data.draw(st.permutations(range(count)))
    shuffled = {i: one_world.day(START + timedelta(first + i)) for i in order}
    assert all(among_others[i].equals(shuffled[i]) for i in range(count))
    assert among_others[0].columns == list(COLUMNS)


def test_other_seeds_and_other_days_differ():
    amounts = [
        Generator(seed=seed, customers=200).day(day)["tx_amount"].to_list()
        for seed in (0, 1)
        for day in days_from(0, 2)
    ]
    assert len({tuple(amount) for amount in amounts}) == 4


def test_the_bytes_of_a_small_file_are_pinned(tmp_path):
    file = Generator(seed=7, customers=300, terminals=600, faults=MANY_FAULTS).write_file(tmp_path, date(2018, 5, 1), 2)
    assert hashlib.sha256(file.path.read_bytes()).hexdigest() == PINNED


def test_file_has_the_lakes_header_and_spelling(tmp_path):
    file = Generator(customers=500, faults=NO_FAULTS).write_file(tmp_path, START, 3)
    text = file.path.read_bytes()
    assert file.path.name == "2018-04-01.txt"
    assert text.startswith(
        b"# tranaction_id | tx_datetime | customer_id | terminal_id | tx_amount"
        b" | tx_time_seconds | tx_time_days | tx_fraud | tx_fraud_scenario\n0,2018-04-01 0"
    )
    assert text.endswith(b"\n")
    assert b"\r" not in text
    assert b'"' not in text
    assert [line for line in lines(file.path) if not GOOD_ROW.fullmatch(line)] == []
    # Amounts are spelled as Python spells floats: 146.0, and 285.79999999999995 for 5 x 57.16.
    amounts = [line.split(b",")[4].decode() for line in lines(file.path)]
    assert amounts == [repr(float(amount)) for amount in amounts]
    assert {len(amount.partition(".")[2]) for amount in amounts} >= {1, 2}


def test_file_counts_equal_its_rows(tmp_path):
    file = Generator(faults=MANY_FAULTS).write_file(tmp_path, START, 3)
    rows = lines(file.path)
    assert (file.rows, file.frauds) == (len(rows), sum(not row.endswith(b",0,0") for row in rows))
    assert file.frauds > 20


def test_compressed_file_holds_the_same_text_and_repeats_its_bytes(tmp_path):
    world = Generator(customers=200)
    plain = world.write_file(tmp_path, START, 2)
    zipped = world.write_file(tmp_path, START, 2, compress=True)
    first = zipped.path.read_bytes()
    assert zipped.path.name == "2018-04-01.txt.gz"
    assert gzip.decompress(first) == plain.path.read_bytes()
    assert b"2018-04-01.txt" not in first, "name in the gzip header"
    assert first[4:8] == bytes(4), "time in the gzip header"


@pytest.mark.parametrize("compress", [False, True])
def test_an_interrupted_file_leaves_the_old_one_and_nothing_else(tmp_path, compress):
    old = Generator(customers=200).write_file(tmp_path, START, 1, compress=compress).path
    before = old.read_bytes()

    def interrupt(day: date) -> None:
        assert old.read_bytes() == before, "the file changed before it was complete"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Generator(customers=200, seed=1).write_file(tmp_path, START, 2, compress=compress, on_day=interrupt)
    assert [*tmp_path.iterdir()] == [old]
    assert old.read_bytes() == before


# --- rows ---


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), customers=st.integers(1, 500), first=st.integers(0, 500))
def test_rows_without_faults_are_consistent(seed, customers, first):
    rows = many_days(Generator(seed=seed, customers=customers, terminals=50, faults=NO_FAULTS), first, 3)
    seconds = rows["tx_time_seconds"]
    parsed = rows["tx_datetime"].str.to_datetime("%Y-%m-%d %H:%M:%S")
    assert (rows.select((parsed - pl.lit(START)).dt.total_seconds()).to_series() == seconds).all()
    assert (rows["tx_time_days"] == seconds // 86_400).all()
    assert seconds.is_sorted()
    assert (seconds % 86_400 >= 1).all()
    assert rows["tranaction_id"].diff().drop_nulls().eq(1).all()
    assert rows["customer_id"].is_between(0, customers - 1).all()
    assert rows["terminal_id"].cast(pl.Int64).is_between(0, 49).all()
    assert (rows["tx_amount"] >= 0.01).all()
    assert (rows["tx_fraud"] == (rows["tx_fraud_scenario"] > 0)).all()
    assert rows.filter(pl.col("tx_amount") > 220)["tx_fraud"].eq(1).all()
    assert rows.filter(pl.col("tx_fraud_scenario") == 1)["tx_amount"].gt(220).all()


def test_no_time_leaves_the_day():
    times = times_of_day(np.random.default_rng(0), 3_000_000)
    assert (times.min(), times.max()) == (1, 86_399)


def test_ids_run_on_from_zero_over_the_days():
    rows = many_days(Generator(customers=300, faults=NO_FAULTS), 0, 20)
    assert rows["tranaction_id"].to_list() == list(range(rows.height))


def test_customers_buy_only_within_their_radius(monkeypatch):
    monkeypatch.setattr(population, "RADIUS", 1.0)
    world = Generator(customers=2_000, terminals=400, faults=NO_FAULTS)
    reach = world.population.reach
    pairs = many_days(world, 0, 3).select("customer_id", pl.col("terminal_id").cast(pl.Int64)).rows()
    allowed = [reach.members[start : start + count] for start, count in zip(reach.offsets, reach.counts, strict=True)]
    assert (reach.counts == 0).any(), "the test needs a customer without a terminal"
    assert all(terminal in allowed[customer] for customer, terminal in pairs)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    homes=st.integers(1, 80),
    places=st.integers(1, 120),
    radius=st.floats(0.5, 150),
    chunk=st.integers(1, 100),
)
def test_grid_search_equals_measuring_every_distance(seed, homes, places, radius, chunk):
    rng = np.random.default_rng(seed)
    home, place = rng.uniform(0, 100, (homes, 2)), rng.uniform(0, 100, (places, 2))
    reach = within(home, place, radius, chunk)
    distance = np.hypot(*(home[:, None] - place[None]).transpose(2, 0, 1))
    for i in range(homes):
        found = reach.members[reach.offsets[i] : reach.offsets[i] + reach.counts[i]]
        assert sorted(found) == np.flatnonzero(distance[i] < radius).tolist()


# --- the model ---


def test_a_compromised_terminal_is_fraudulent_without_a_gap_for_at_most_28_days():
    rows = many_days(Generator(seed=0, faults=NO_FAULTS), 0, 45).filter(pl.col("tx_fraud_scenario") != 3)
    frauds = pl.col("tx_fraud_scenario") == 2
    spells = (
        rows.filter(frauds)
        .group_by("terminal_id")
        .agg(first=pl.col("tx_time_days").min(), last=pl.col("tx_time_days").max())
    )
    between = rows.join(spells, on="terminal_id").filter(pl.col("tx_time_days").is_between("first", "last"))
    assert spells.height > 70
    assert between.select(frauds.all()).item()
    lengths = spells.select(pl.col("last") - pl.col("first") + 1).to_series()
    assert 24 <= lengths.max() <= 28


def test_a_leaked_card_is_used_for_at_most_14_days_at_five_times_the_amount():
    rows = many_days(Generator(seed=1, faults=NO_FAULTS), 0, 45)
    leaked = rows.filter(pl.col("tx_fraud_scenario") == 3)
    spells = leaked.group_by("customer_id").agg(first=pl.col("tx_time_days").min(), last=pl.col("tx_time_days").max())
    once = spells.filter(pl.col("last") - pl.col("first") < 14)
    assert spells.height > 90
    assert once.height > 0.95 * spells.height, "only a card that leaked twice lasts longer"
    cents = leaked["tx_amount"] * 100
    assert (cents.round() % 5 == 0).all()
    usual = rows.filter(pl.col("tx_fraud_scenario") == 0).group_by("customer_id").agg(usual=pl.col("tx_amount").mean())
    ratio = leaked.join(usual, on="customer_id").select(pl.col("tx_amount") / pl.col("usual")).to_series()
    assert ratio.median() == pytest.approx(5, rel=0.1)
    cards = rows.join(once, on="customer_id").filter(pl.col("tx_time_days").is_between("first", "last"))
    # First and last day of a spell are frauds by construction, which lifts the share above 1/3.
    assert 1 / 3 < (cards["tx_fraud_scenario"] == 3).mean() < 0.48


@pytest.mark.parametrize("customers", [2_500, 5_000, 20_000])
def test_shares_of_fraud_do_not_depend_on_the_scale(customers):
    world = Generator(seed=5, customers=customers, terminals=2 * customers, faults=NO_FAULTS)
    rows = many_days(world, 28, 28)
    share = {scenario: (rows["tx_fraud_scenario"] == scenario).mean() for scenario in (1, 2, 3)}
    assert share[2] == pytest.approx(28 * 2 / 10_000, rel=0.12)
    assert share[3] == pytest.approx(14 * 3 / 5_000 / 3, rel=0.2)
    assert share[1] == pytest.approx(0.00057, rel=0.3)
    assert rows.height / 28 / customers == pytest.approx(2 * 0.9688, rel=0.04)
    assert np.median(world.population.reach.counts) == pytest.approx(np.pi * 25, rel=0.05)


# --- faults ---

FAULTY: dict[str, Callable[[list[bytes]], bool]] = {
    "tx_datetime": lambda row: row[1][11:13] == b"24",
    "customer_id": lambda row: row[2] in (b"-999999", b"999999"),
    "terminal_id": lambda row: row[3] in (b"Err", b"None"),
    "tx_amount": lambda row: row[4] == b"0.0",
    "tx_time_days": lambda row: int(row[6]) != int(row[5]) // 86_400,
}


def count_faults(path: Path) -> dict[str, int]:
    """Faults found by looking at the text alone; asserts that no row has two."""
    rows = [line.split(b",") for line in lines(path)]
    seen: set[bytes] = set()
    found: Counter[str] = Counter(dict.fromkeys(["transaction_id", *FAULTY], 0))
    for row in rows:
        names = [name for name, is_faulty in FAULTY.items() if is_faulty(row)]
        names += ["transaction_id"] if row[0] in seen else []
        assert len(names) <= 1, row
        seen.add(row[0])
        found.update(names)
    return dict(found)


@settings(deadline=None, max_examples=25)
@given(
    rates=st.lists(st.floats(0, 0.5 / 6), min_size=6, max_size=6),
    seed=st.integers(0, 1000),
    customers=st.integers(1, 200),
)
def test_reported_faults_are_exactly_those_in_the_file(tmp_path_factory, rates, seed, customers):
    world = Generator(seed=seed, customers=customers, terminals=30, faults=Faults(*rates))
    file = world.write_file(tmp_path_factory.mktemp("lake"), START, 4)
    assert file.faults == count_faults(file.path)


@pytest.mark.parametrize("name", [fault.name for fault in fields(Faults)])
def test_each_rate_makes_its_own_fault_at_that_rate_and_no_other(tmp_path, name):
    faults = Faults(**(asdict(NO_FAULTS) | {name: 0.03}))
    file = Generator(customers=2_000, faults=faults).write_file(tmp_path, START, 4)
    assert {fault for fault, count in count_faults(file.path).items() if count} == {name}
    spread = (file.rows * 0.03) ** 0.5
    assert abs(file.faults[name] - file.rows * 0.03) < 4 * spread


def test_both_spellings_of_a_bad_customer_and_terminal_occur():
    day = Generator(customers=2_000, faults=MANY_FAULTS).day(START)
    assert {-999_999, 999_999} <= set(day["customer_id"])
    assert {"Err", "None"} <= set(day["terminal_id"])


def test_faults_change_one_value_of_their_rows_and_nothing_else():
    clean, faulty = (many_days(Generator(customers=2_000, faults=faults), 30, 2) for faults in (NO_FAULTS, MANY_FAULTS))
    changed = sum((clean[column] != faulty[column]).cast(pl.Int64) for column in COLUMNS)
    assert changed.max() == 1
    assert changed.sum() == pytest.approx(0.3 * clean.height, rel=0.1)


def test_a_repeated_id_is_that_of_an_intact_row_before_it():
    day = Generator(customers=2_000, faults=MANY_FAULTS).day(START)
    clean = Generator(customers=2_000, faults=NO_FAULTS).day(START)
    repeats = np.flatnonzero((day["tranaction_id"] != clean["tranaction_id"]).to_numpy())
    assert len(repeats) > 100
    assert (day["tranaction_id"].gather(repeats) == day["tranaction_id"].gather(repeats - 1)).all()
    assert day[repeats - 1].equals(clean[repeats - 1])


def test_default_rates_are_the_real_lakes():
    assert Faults() == Faults(
        transaction_id=1e-6, tx_datetime=2e-6, customer_id=1e-6, terminal_id=2e-5, tx_amount=2.25e-5, tx_time_days=2e-6
    )
    assert Generator(customers=1, terminals=1).faults == Faults()


# --- errors and the command line ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: Generator(customers=0), "customers is 0; expected an integer of at least 1"),
        (lambda _: Generator(terminals=-2), "terminals is -2; expected an integer of at least 1"),
        (lambda _: Generator(seed=-1), "seed is -1; expected an integer of at least 0"),
        (lambda _: Faults(tx_amount=0.7), "fault rate tx_amount is 0.7; expected a share of rows between 0 and 0.5"),
        (lambda _: Faults(tx_amount=float("nan")), "fault rate tx_amount is nan"),
        (lambda _: Faults(tx_amount=0.3, terminal_id=0.3), r"fault rates sum to 0\.60\d*; expected at most 0.5"),
        (lambda _: Generator(customers=1).day(date(2018, 3, 31)), "day is 2018-03-31; expected 2018-04-01"),
        (lambda folder: Generator(customers=1).write_file(folder, START, 0), "days is 0; expected at least 1"),
    ],
)
def test_bad_arguments_are_named_with_what_was_expected(tmp_path, call, message):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)


def test_command_line_writes_weekly_files_and_a_summary(tmp_path, capsys):
    out = tmp_path / "new" / "lake"
    options = [
        "--first",
        "2018-04-08",
        "--days",
        "16",
        "--customers",
        "100",
        "--fault-terminal-id",
        "0.25",
        "--seed",
        "3",
    ]
    assert main(["--out", str(out), *options]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["2018-04-08.txt", "2018-04-15.txt", "2018-04-22.txt"]
    found: Counter[str] = Counter()
    for path in out.iterdir():
        found.update(count_faults(path))
    rows = [line for path in sorted(out.iterdir()) for line in lines(path)]
    world = Generator(seed=3, customers=100, faults=Faults(terminal_id=0.25))
    assert rows == many_days(world, 7, 16).write_csv(include_header=False).encode().splitlines()
    summary = capsys.readouterr().out
    assert f"3 files  {len(rows):,} rows" in summary
    assert f"terminal_id {found['terminal_id']}" in summary


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--days", "0"], 2, "--days is 0; expected at least 1"),
        (["--days-per-file", "-1"], 2, "--days-per-file is -1; expected at least 1"),
        (["--start", "01.04.2018"], 2, "01.04.2018 is no day; expected YYYY-MM-DD"),
        (["--first", "2018-01-01"], 2, "day is 2018-01-01; expected 2018-04-01"),
        (["--out", os.devnull], 1, f"cannot write to {os.devnull}: "),
    ],
)
def test_command_line_ends_with_one_clear_line(tmp_path, capsys, options, status, message):
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path), "--customers", "10", *options])
    assert stop.value.code == status
    assert message in capsys.readouterr().err.splitlines()[-1]


# --- likeness to the real lake ---


@pytest.fixture(scope="module")
def real() -> pl.DataFrame:
    folder = os.environ.get("FRAUD_LAKE_SAMPLE")
    if not folder:
        pytest.skip("FRAUD_LAKE_SAMPLE does not name a folder of real lake files (YYYY-MM-DD.txt.gz)")
    files = sorted(Path(folder).glob("*.txt.gz"))
    assert files, f"{folder} holds no *.txt.gz"
    texts = [gzip.decompress(path.read_bytes()) for path in files]
    assert {text[: len(HEADER)] for text in texts} == {HEADER}
    assert [row for row in texts[0].splitlines()[1:] if not GOOD_ROW.fullmatch(row)] == []
    return pl.concat(pl.read_csv(text, has_header=False, skip_rows=1, new_columns=COLUMNS) for text in texts)


@pytest.fixture(scope="module")
def ours(real: pl.DataFrame) -> pl.DataFrame:
    return many_days(Generator(seed=3, faults=NO_FAULTS), 0, real["tx_time_days"].max() + 1)


def ratios(ours_and_real: list[pl.Series], quantiles: tuple[float, ...]) -> list[float]:
    ours, real = ours_and_real
    return [ours.quantile(q) / real.quantile(q) for q in quantiles]


# Tolerances: three times the spread over twelve worlds that differ only by seed, and the real lake is one world more.


@pytest.mark.parametrize(("scenario", "tolerance"), [(1, 0.2), (2, 0.08), (3, 0.12), (None, 0.06)])
def test_shares_of_fraud_are_like_the_real_ones(ours, real, scenario, tolerance):
    def share(rows: pl.DataFrame) -> float:
        column = rows["tx_fraud_scenario"]
        return ((column > 0) if scenario is None else (column == scenario)).mean()

    assert share(ours) == pytest.approx(share(real), rel=tolerance)


def test_rows_a_day_are_like_the_real_ones(ours, real):
    a_day = [rows.group_by("tx_time_days").len()["len"] for rows in (ours, real)]
    assert a_day[0].mean() == pytest.approx(a_day[1].mean(), rel=0.03)
    assert a_day[0].std() == pytest.approx(a_day[1].std(), rel=0.25)


def test_times_of_day_are_like_the_real_ones(ours, real):
    times = [rows["tx_time_seconds"] % 86_400 for rows in (ours, real)]
    assert ratios(times, (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)) == pytest.approx([1] * 6, abs=0.006)


def test_amounts_are_like_the_real_ones(ours, real):
    amounts = [rows["tx_amount"] for rows in (ours, real)]
    assert ratios(amounts, (0.05, 0.25)) == pytest.approx([1, 1], abs=0.12)
    assert ratios(amounts, (0.5, 0.75, 0.95, 0.99)) == pytest.approx([1] * 4, abs=0.04)


def test_amounts_of_one_customer_spread_like_the_real_ones(ours, real):
    relative = [
        rows.filter(pl.col("tx_fraud_scenario") != 3, pl.len().over("customer_id") > 100)
        .select(pl.col("tx_amount") / pl.col("tx_amount").median().over("customer_id"))
        .to_series()
        for rows in (ours, real)
    ]
    assert ratios(relative, (0.05, 0.1, 0.25, 0.75, 0.9, 0.99)) == pytest.approx([1] * 6, abs=0.01)


def test_customers_and_terminals_are_as_busy_as_the_real_ones(ours, real):
    ours, real = (rows.with_columns(pl.col("terminal_id").cast(pl.Int64)) for rows in (ours, real))
    for column, tolerance in (("customer_id", 0.07), ("terminal_id", 0.06)):
        busy = [rows.group_by(column).len()["len"] for rows in (ours, real)]
        assert ratios(busy, (0.25, 0.5, 0.75, 0.95)) == pytest.approx([1] * 4, abs=tolerance), column
    places = [
        rows.group_by("customer_id").agg(pl.col("terminal_id").n_unique())["terminal_id"] for rows in (ours, real)
    ]
    assert ratios(places, (0.25, 0.5, 0.75)) == pytest.approx([1] * 3, abs=0.04)


def test_the_benchmarks_row_by_row_side_remakes_the_real_lake(real):
    first_days = [
        rows.filter(pl.col("tx_time_days") < 6)
        .select(pl.col(column).cast(real.schema[column]) for column in COLUMNS[1:])  # ties have ids in any order
        .sort("tx_time_seconds", "customer_id")
        for rows in (handbook(20), real)
    ]
    assert first_days[0].equals(first_days[1])
