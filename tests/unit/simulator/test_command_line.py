"""Wrong arguments, and the command line."""

import os
from collections import Counter
from datetime import date

import pytest

from simulator import Faults, Generator
from simulator.__main__ import main
from tests.unit.simulator.worlds import START, count_faults, lines, many_days


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
