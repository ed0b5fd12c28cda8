"""The faults of the real lake, and which rows have them."""

from dataclasses import asdict, dataclass

import numpy as np

from simulator.streams import Ints


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


def faulty_rows(rng: np.random.Generator, rates: Faults, rows: int) -> dict[str, Ints]:
    """Rows with each fault. Only every second row can have one, so the row before a faulty one is intact."""
    shares = 2 * np.array([*asdict(rates).values()])
    counts = rng.multinomial(rows // 2, [*shares, max(0.0, 1 - shares.sum())])[:-1]
    chosen = 1 + 2 * rng.choice(rows // 2, counts.sum(), replace=False)
    return dict(zip(asdict(rates), np.split(chosen, np.cumsum(counts)[:-1]), strict=True))
