"""A world of customers and terminals, and its days: as tables, or as files of the lake."""

import functools
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from simulator.faults import REAL_FAULTS, Faults, faulty_rows
from simulator.files import COLUMNS, HEADER, GeneratedFile, replacing
from simulator.population import Population
from simulator.streams import Ints, Stream, stream_of
from simulator.transactions import DAY_SECONDS, SHARE_INSIDE_THE_DAY, draw_transactions


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
        self.seed, self.start, self.faults, self.terminals = seed, start, faults, terminals
        self.population = Population.draw(seed, customers, terminals)
        self._rows_per_day = self.population.rate * SHARE_INSIDE_THE_DAY
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
        with replacing(path, compress) as file:
            file.write(HEADER)
            for day in (first_day + timedelta(i) for i in range(days)):
                frame, injected = self._make_day(day)
                frame.write_csv(file, include_header=False, quote_style="never")
                rows += frame.height
                frauds += int(frame["tx_fraud"].sum())
                faults.update(injected)
                on_day(day)
        return GeneratedFile(path, rows, frauds, dict(faults))

    def _make_day(self, on: date) -> tuple[pl.DataFrame, dict[str, int]]:
        day = (on - self.start).days
        if day < 0:
            raise ValueError(f"day is {on}; expected {self.start} (the generator's start) or later")
        # A longer draw from a fresh stream begins with the shorter one: all days see the same history.
        rows_by_day = stream_of(self.seed, Stream.ROWS).poisson(self._rows_per_day, day + 1)
        first_id, rows = int(rows_by_day[:-1].sum()), int(rows_by_day[-1])
        seconds, customer, terminal, amount, scenario = draw_transactions(
            self.seed, self.population, self.terminals, day, rows
        )

        faulty = faulty_rows(stream_of(self.seed, Stream.FAULTS, day), self.faults, rows)
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


@functools.cache
def _clock() -> pl.Series:
    """HH:MM:SS of every second of a day, and of the hour 24 that does not exist: 90,000 strings."""
    second = pl.int_range(DAY_SECONDS + 3600, eager=True)
    parts = (part.cast(pl.String).str.zfill(2) for part in (second // 3600, second // 60 % 60, second % 60))
    return pl.select(pl.concat_str(*parts, separator=":")).to_series()
