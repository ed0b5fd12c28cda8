"""Card transactions in the format of the public lake: any day alone, always the same, with the lake's faults.

    python -m simulator --out lake --start 2018-04-01 --days 91

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

from typing import TYPE_CHECKING, Any

from simulator.faults import REAL_FAULTS, Faults
from simulator.files import COLUMNS, HEADER, GeneratedFile
from simulator.worlds import KINDS, Rows, World

if TYPE_CHECKING:
    from simulator.generator import Generator

__all__ = ["COLUMNS", "HEADER", "KINDS", "REAL_FAULTS", "Faults", "GeneratedFile", "Generator", "Rows", "World"]


def __getattr__(name: str) -> Any:
    """The generator of files brings polars, which an image of the cluster has not; its worlds are measured there."""
    if name == "Generator":
        from simulator.generator import Generator

        return Generator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
