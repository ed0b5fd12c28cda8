"""Card transactions in the format of the public lake: any day alone, always the same, with the lake's faults.

    python -m simulator.generator --out lake --start 2018-04-01 --days 91

One file as large as the lake's own (47 million rows) needs `--customers 810000 --terminals 1620000 --days 30
--days-per-file 30`.

The model is the transaction simulator of "Reproducible Machine Learning for Credit Card Fraud Detection" (Le Borgne,
Siblini, Lebichot, Bontempi, 2022, chapter 3). Its loops became draws of whole days with the same distributions:

- Poisson counts thinned by the chance that a time falls inside the day replace drawing times and dropping some; given
  the day's total, customers are independent draws in proportion to their rates. So one Poisson draw a day gives the
  number of rows, and transaction ids run on from day to day although each day is made alone.
- A transaction of a compromised card is fraudulent with probability 1/3 each, not exactly a third of them.
- Compromised customers and terminals, and the radius within which customers buy, scale with the population, so that
  the share of fraud and the number of terminals in reach (about 78) stay those of 5,000 customers and 10,000 terminals.
- Amounts are at least 0.01: an amount of 0 is a fault and nothing else.
"""

import argparse
import gzip
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from enum import IntEnum
from pathlib import Path
from statistics import NormalDist
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.progress import Progress

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

COLUMNS = (
    "tranaction_id",  # the lake's own spelling
    "tx_datetime",
    "customer_id",
    "terminal_id",
    "tx_amount",
    "tx_time_seconds",
    "tx_time_days",
    "tx_fraud",
    "tx_fraud_scenario",
)
HEADER = f"# {' | '.join(COLUMNS)}\n".encode()

SIDE = 100.0  # customers and terminals live in a square of this side
RADIUS = 5.0  # reach of a customer among this many terminals:
RADIUS_TERMINALS = 10_000
MEAN_AMOUNT = (5.0, 100.0)
TX_PER_DAY = (0.0, 4.0)
DAY_SECONDS = 86_400
TIMES = NormalDist(43_200, 20_000)
LARGE_AMOUNT = 220.0  # scenario 1: every larger amount
COMPROMISED_TERMINALS = (2, 10_000, 28)  # scenario 2: so many, of so many, compromised each day for so many days
COMPROMISED_CUSTOMERS = (3, 5_000, 14)  # scenario 3: likewise
CARD_FRAUD_SHARE, CARD_FRAUD_FACTOR = 1 / 3, 5  # the factor an integer: its powers are exact everywhere


class _Stream(IntEnum):
    """Independent random streams of one seed."""

    PROFILES = 0
    ROWS = 1
    TRANSACTIONS = 2
    TERMINALS = 3
    CUSTOMERS = 4
    FAULTS = 5


@dataclass(frozen=True)
class Faults:
    """Share of rows with each fault of the real lake, named by the column; a row has at most one.

    The defaults are the rates seen in the real lake, but for `customer_id`, whose rate nobody published. Together they
    may not exceed 0.5, because every repeated id leaves the row it repeats intact.
    """

    transaction_id: float = 1e-6  # the id of the row before
    tx_datetime: float = 2e-6  # hour 24
    customer_id: float = 1e-6  # -999999 or 999999
    terminal_id: float = 2e-5  # Err or None
    tx_amount: float = 2.25e-5  # 0.0
    tx_time_days: float = 2e-6  # one day more than tx_time_seconds says

    def __post_init__(self) -> None:
        for name, rate in asdict(self).items():
            if not 0 <= rate <= 0.5:
                raise ValueError(f"fault rate {name} is {rate}; expected a share of rows between 0 and 0.5")
        total = sum(asdict(self).values())
        if total > 0.5:
            raise ValueError(f"fault rates sum to {total:g}; expected at most 0.5: lower some of them")


REAL_FAULTS = Faults()


class GeneratedFile(NamedTuple):
    """One written file: its path, data rows, rows labelled as fraud, rows with each fault (every name of `Faults`)."""

    path: Path
    rows: int
    frauds: int
    faults: dict[str, int]


class Generator:
    """A world of customers and terminals and the transactions of each of its days.

    Equal arguments give equal bytes, whatever else was generated before. The faults have a stream of their own: other
    rates change nothing else.

    Args:
        seed: non-negative.
        customers: about 1.94 times as many rows a day.
        terminals: twice the customers keeps the handbook's proportion.
        start: the day from which `tx_time_seconds`, `tx_time_days` and the ids count.
        faults: share of rows with each fault.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        customers: int = 5_000,
        terminals: int = 10_000,
        start: date = date(2018, 4, 1),
        faults: Faults = REAL_FAULTS,
    ) -> None:
        for name, value, least in (("seed", seed, 0), ("customers", customers, 1), ("terminals", terminals, 1)):
            if value < least:
                raise ValueError(f"{name} is {value}; expected an integer of at least {least}")
        self.seed, self.start, self.faults = seed, start, faults
        self.customers, self.terminals = customers, terminals
        rng = self._rng(_Stream.PROFILES)
        homes = rng.uniform(0, SIDE, (customers, 2))
        self._mean_amount = rng.uniform(*MEAN_AMOUNT, customers)
        rate = rng.uniform(*TX_PER_DAY, customers)
        places = rng.uniform(0, SIDE, (terminals, 2))
        self._reach = _within(homes, places, RADIUS * math.sqrt(RADIUS_TERMINALS / terminals))
        cumulative = np.cumsum(np.where(self._reach.counts > 0, rate, 0.0))
        self._rows_per_day = cumulative[-1] * (TIMES.cdf(DAY_SECONDS) - TIMES.cdf(1))
        self._customer_cdf = cumulative / cumulative[-1]
        self._clock = _clock()
        self._terminal_text = pl.Series([*map(str, range(terminals)), "Err", "None"])

    def day(self, day: date) -> pl.DataFrame:
        """The transactions of one day in order of time, faults included, as they stand in a file.

        Returns: about 1.94 rows a customer with `COLUMNS`: `tx_datetime` (UTC, YYYY-MM-DD HH:MM:SS) and `terminal_id`
            are text, since their faults are no values of their type; `tx_amount` a float, all others integers.

        Raises:
            ValueError: the day is before `start`.
        """
        return self._make_day(day)[0]

    def write_file(
        self,
        folder: Path,
        first_day: date,
        days: int = 7,
        *,
        compress: bool = False,
        on_day: Callable[[date], None] = lambda _: None,
    ) -> GeneratedFile:
        """Write `days` days from `first_day` on as `<first_day>.txt` or, compressed, `.txt.gz`.

        The file appears under its name only when complete and replaces one that was there. Memory holds one day.
        `on_day` is called after each day.

        Raises:
            ValueError: `days` is not positive or `first_day` is before `start`.
            OSError: the file cannot be written.
        """
        if days < 1:
            raise ValueError(f"days is {days}; expected at least 1")
        path = folder / f"{first_day}.txt{'.gz' if compress else ''}"
        rows = frauds = 0
        faults: Counter[str] = Counter()
        with _replacing(path, compress) as file:
            file.write(HEADER)
            for day in (first_day + timedelta(i) for i in range(days)):
                frame, injected = self._make_day(day)
                frame.write_csv(file, include_header=False, quote_style="never")
                rows += frame.height
                frauds += int(frame["tx_fraud"].sum())
                faults.update(injected)
                on_day(day)
        return GeneratedFile(path, rows, frauds, dict(faults))

    def _rng(self, stream: _Stream, day: int = 0) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(self.seed, spawn_key=(stream, day))))

    def _make_day(self, on: date) -> tuple[pl.DataFrame, dict[str, int]]:
        day = (on - self.start).days
        if day < 0:
            raise ValueError(f"day is {on}; expected {self.start} (the generator's start) or later")
        # A longer draw from a fresh stream begins with the shorter one: all days see the same history.
        rows_by_day = self._rng(_Stream.ROWS).poisson(self._rows_per_day, day + 1)
        first_id, rows = int(rows_by_day[:-1].sum()), int(rows_by_day[-1])
        seconds, customer, terminal, amount, scenario = self._transactions(day, rows)

        faulty = self._faulty_rows(day, rows)
        transaction_id: Ints = first_id + np.arange(rows)
        transaction_id[faulty["transaction_id"]] -= 1
        clock = seconds.copy()
        clock[faulty["tx_datetime"]] = DAY_SECONDS + seconds[faulty["tx_datetime"]] % 3600
        customer[faulty["customer_id"]] = np.where(customer[faulty["customer_id"]] % 2, 999_999, -999_999)
        terminal[faulty["terminal_id"]] = self.terminals + terminal[faulty["terminal_id"]] % 2
        amount[faulty["tx_amount"]] = 0.0
        days = np.full(rows, day)
        days[faulty["tx_time_days"]] += 1
        columns = (
            transaction_id,
            pl.select(pl.lit(f"{on} ") + self._clock.gather(clock)).to_series(),
            customer,
            self._terminal_text.gather(terminal),
            amount,
            seconds + day * DAY_SECONDS,
            days,
            (scenario > 0).astype(np.int8),
            scenario,
        )
        return pl.DataFrame(dict(zip(COLUMNS, columns, strict=True))), {name: len(at) for name, at in faulty.items()}

    def _transactions(self, day: int, rows: int) -> tuple[Ints, Ints, Ints, Floats, NDArray[np.int8]]:
        """Second of the day, customer, terminal, amount and fraud scenario (0 to 3) of `rows` rows, by time."""
        rng = self._rng(_Stream.TRANSACTIONS, day)
        # Sorted, the look-ups below walk through memory instead of jumping; the sort by time shuffles them again.
        customer: Ints = np.searchsorted(self._customer_cdf, np.sort(rng.random(rows)), side="right")
        seconds = _times_of_day(rng, rows)
        amount = _amounts(rng, self._mean_amount[customer])
        choice = (rng.random(rows) * self._reach.counts[customer]).astype(np.int64)
        terminal = self._reach.members[self._reach.offsets[customer] + choice].astype(np.int64)

        scenario = (amount > LARGE_AMOUNT).astype(np.int8)
        scenario[self._compromises(_Stream.TERMINALS, day, self.terminals, *COMPROMISED_TERMINALS)[terminal] > 0] = 2
        leaks = self._compromises(_Stream.CUSTOMERS, day, self.customers, *COMPROMISED_CUSTOMERS)[customer]
        at_risk = np.flatnonzero(leaks)
        hits = rng.binomial(leaks[at_risk], CARD_FRAUD_SHARE)
        amount[at_risk] *= CARD_FRAUD_FACTOR**hits
        scenario[at_risk[hits > 0]] = 3

        # Second and position in one integer: a plain sort is several times as fast as a stable argsort.
        order = np.sort(seconds << 32 | np.arange(rows)) & 0xFFFF_FFFF
        return seconds[order], customer[order], terminal[order], amount[order], scenario[order]

    def _compromises(self, stream: _Stream, day: int, population: int, count: int, of: int, days: int) -> Ints:
        """How often each member of the population is compromised on `day`: shape (population,)."""
        drawn: Ints = self._rng(stream).integers(population, size=(day + 1) * count * population // of)
        return np.bincount(drawn[max(0, day + 1 - days) * count * population // of :], minlength=population)

    def _faulty_rows(self, day: int, rows: int) -> dict[str, Ints]:
        """Rows with each fault. Only every second row can have one, so the row before a faulty one is intact."""
        rng = self._rng(_Stream.FAULTS, day)
        rates = 2 * np.array([*asdict(self.faults).values()])
        counts = rng.multinomial(rows // 2, [*rates, max(0.0, 1 - rates.sum())])[:-1]
        chosen = 1 + 2 * rng.choice(rows // 2, counts.sum(), replace=False)
        return dict(zip(asdict(self.faults), np.split(chosen, np.cumsum(counts)[:-1]), strict=True))


class _Reach(NamedTuple):
    """Row i's members are `members[offsets[i] : offsets[i] + counts[i]]`."""

    offsets: Ints
    counts: Ints
    members: NDArray[np.int32]


def _within(homes: Floats, places: Floats, radius: float, chunk: int = 20_000) -> _Reach:
    """For each home, shape (n, 2), the indices of the places, shape (m, 2), nearer than `radius`.

    A grid with cells of at least `radius` leaves nine cells to search; three neighbours in a row are one range.
    """
    cells = max(1, int(SIDE / radius))
    home_cell, place_cell = ((points / SIDE * cells).astype(np.int64) for points in (homes, places))
    place_cell = place_cell[:, 0] * cells + place_cell[:, 1]
    by_cell = np.argsort(place_cell, kind="stable")
    cell_start: Ints = np.searchsorted(place_cell[by_cell], np.arange(cells * cells + 1))
    members, counts = [], []
    for start in range(0, len(homes), chunk):
        row, column = (home_cell[start : start + chunk, axis, None] for axis in (0, 1))
        rows = row + np.array([-1, 0, 1])
        inside = (rows >= 0) & (rows < cells)
        base = np.where(inside, rows, 0) * cells
        first = cell_start[base + np.maximum(column - 1, 0)]
        length = np.where(inside, cell_start[base + np.minimum(column + 1, cells - 1) + 1] - first, 0)
        home: Ints = start + np.repeat(np.arange(len(row)), length.sum(axis=1))
        skipped: Ints = np.repeat(first.ravel() - (np.cumsum(length) - length.ravel()), length.ravel())
        candidate = by_cell[skipped + np.arange(len(home))]
        near = ((homes[home] - places[candidate]) ** 2).sum(axis=1) < radius**2
        members.append(candidate[near].astype(np.int32))
        counts.append(np.bincount(home[near] - start, minlength=len(row)))
    count = np.concatenate(counts)
    return _Reach(np.cumsum(count) - count, count, np.concatenate(members))


def _times_of_day(rng: np.random.Generator, rows: int) -> Ints:
    """Whole seconds in [1, 86400): normal around noon, redrawn where outside the day."""
    times = rng.normal(TIMES.mean, TIMES.stdev, rows)
    while (outside := np.flatnonzero((times < 1) | (times >= DAY_SECONDS))).size:
        times[outside] = rng.normal(TIMES.mean, TIMES.stdev, outside.size)
    return times.astype(np.int64)


def _amounts(rng: np.random.Generator, mean: Floats) -> Floats:
    """Normal with a deviation of half the mean, uniform on [0, 2 mean] where that is negative; rounded to cents."""
    amount = mean * (1 + rng.standard_normal(len(mean)) / 2)
    negative = np.flatnonzero(amount < 0)
    amount[negative] = 2 * mean[negative] * rng.random(negative.size)
    return np.maximum(np.round(amount, 2), 0.01)


def _clock() -> pl.Series:
    """HH:MM:SS of every second of a day, and of the hour 24 that does not exist: 90,000 strings."""
    second = pl.int_range(DAY_SECONDS + 3600, eager=True)
    parts = (part.cast(pl.String).str.zfill(2) for part in (second // 3600, second // 60 % 60, second % 60))
    return pl.select(pl.concat_str(*parts, separator=":")).to_series()


@contextmanager
def _replacing(path: Path, compress: bool) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well and leaves nothing when it does not."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            if compress:
                # Neither name nor time in the gzip header: they would make equal data unequal.
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
                    yield zipped  # type: ignore[misc]
            else:
                yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no day; expected YYYY-MM-DD") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator.generator", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="folder for the files")
    add("--start", type=_date, default="2018-04-01", metavar="DAY", help="day 0 of the world (%(default)s)")
    add("--first", type=_date, metavar="DAY", help="first day to write (the start)")
    add("--days", type=int, default=91, metavar="N", help="days to write (%(default)s)")
    add("--days-per-file", type=int, default=7, metavar="N", help="days in one file (%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="another seed, another world (%(default)s)")
    add("--customers", type=int, default=5_000, metavar="N", help="each 1.94 rows a day (%(default)s)")
    add("--terminals", type=int, default=10_000, metavar="N", help="usually twice the customers (%(default)s)")
    add("--gzip", action="store_true", help="write .txt.gz, which takes six times as long")
    for fault in fields(Faults):
        flag = f"--fault-{fault.name.replace('_', '-')}"
        add(flag, type=float, default=fault.default, metavar="SHARE", help="of rows with this fault (%(default)s)")
    return parser


def _files(args: argparse.Namespace) -> Iterator[GeneratedFile]:
    faults = Faults(**{fault.name: getattr(args, f"fault_{fault.name}") for fault in fields(Faults)})
    generator = Generator(
        seed=args.seed, customers=args.customers, terminals=args.terminals, start=args.start, faults=faults
    )
    args.out.mkdir(parents=True, exist_ok=True)
    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("days", total=args.days)
        for done in range(0, args.days, args.days_per_file):
            first_day = (args.first or args.start) + timedelta(done)
            days = min(args.days_per_file, args.days - done)
            file = generator.write_file(
                args.out, first_day, days, compress=args.gzip, on_day=lambda _: progress.advance(task)
            )
            line = f"{file.path}  {file.rows:,} rows  {file.frauds:,} frauds"
            progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
            yield file


def main(arguments: list[str] | None = None) -> int:
    """Write what the command line asks for, or end with one line and status 2 (wrong argument) or 1 (disk)."""
    parser = _parser()
    args = parser.parse_args(arguments)
    for option in ("days", "days_per_file"):
        if getattr(args, option) < 1:
            parser.error(f"--{option.replace('_', '-')} is {getattr(args, option)}; expected at least 1")
    began = time.perf_counter()
    try:
        files = list(_files(args))
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.exit(1, f"{parser.prog}: cannot write to {args.out}: {error}\n")
    seconds = time.perf_counter() - began
    rows, frauds = sum(file.rows for file in files), sum(file.frauds for file in files)
    faults: Counter[str] = Counter()
    for file in files:
        faults.update(file.faults)
    print(f"{len(files)} files  {rows:,} rows  {frauds:,} frauds ({frauds / max(rows, 1):.3%})")
    print("faults  " + "  ".join(f"{name} {count:,}" for name, count in faults.items()))
    print(f"{seconds:.1f} s  {rows / seconds:,.0f} rows/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
