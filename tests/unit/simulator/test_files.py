"""Files: the same bytes for the same arguments, whole or not at all."""

import gzip
import hashlib
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import COLUMNS, Generator
from tests.unit.simulator.worlds import GOOD_ROW, MANY_FAULTS, NO_FAULTS, START, days_from, lines

PINNED = "f9f994277b07c5d9aef04aa6d46aaa0bc9ebff322e9b3cde4e213a330fa0ca72"


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
