"""The transactions of one day, before any fault: when, who, where, how much, and whether it is a fraud."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.population import Population
from simulator.streams import Floats, Ints, Stream, stream_of

DAY_SECONDS = 86_400
TIMES = NormalDist(43_200, 20_000)
SHARE_INSIDE_THE_DAY = TIMES.cdf(DAY_SECONDS) - TIMES.cdf(1)
LARGE_AMOUNT = 220.0  # scenario 1: every larger amount
CARD_FRAUD_SHARE, CARD_FRAUD_FACTOR = 1 / 3, 5  # the factor an integer: its powers are exact everywhere


@dataclass(frozen=True)
class Compromises:
    """Each day `count` of every `of` are compromised for `days` days."""

    stream: Stream
    count: int
    of: int
    days: int

    def on(self, day: int, seed: int, population: int) -> Ints:
        """How often each member of the population is compromised on `day`: shape (population,)."""
        drawn: Ints = stream_of(seed, self.stream).integers(
            population, size=(day + 1) * self.count * population // self.of
        )
        begun = max(0, day + 1 - self.days) * self.count * population // self.of
        return np.bincount(drawn[begun:], minlength=population)


COMPROMISED_TERMINALS = Compromises(Stream.TERMINALS, 2, 10_000, 28)  # scenario 2
COMPROMISED_CUSTOMERS = Compromises(Stream.CUSTOMERS, 3, 5_000, 14)  # scenario 3


SOLD_CARDS = Compromises(Stream.SOLD_CARDS, 9, 5_000, 14)  # scenario 4
SHUT_ONE_OF = 5
SOLD_CARD_AMOUNT, SOLD_CARD_HOURS = 0.2, 5  # small amounts, in the first hours of the day


@dataclass(frozen=True)
class Conduct:
    """What customers and criminals do on one day; the default is the handbook's, on every day."""

    prices: float = 1.0  # all amounts, times; so is the amount above which everything is a fraud
    terminal_share: float = 1.0  # of the transactions at a compromised terminal that are frauds
    card_share: float = CARD_FRAUD_SHARE  # of the transactions of a compromised card that are frauds
    sold_share: float = 0.0  # of the transactions of a sold card that are frauds, small and at night
    shut: int | None = None  # terminals whose number leaves this remainder by `SHUT_ONE_OF` are not in business


HANDBOOK = Conduct()


class Transactions(NamedTuple):
    """Rows in order of time: second of the day, customer, terminal, amount, fraud scenario (0: none, to 4)."""

    second: Ints
    customer: Ints
    terminal: Ints
    amount: Floats
    scenario: NDArray[np.int8]


def draw_transactions(
    seed: int, population: Population, terminals: int, day: int, rows: int, conduct: Conduct = HANDBOOK
) -> Transactions:
    rng = stream_of(seed, Stream.TRANSACTIONS, day)
    # Sorted, the look-ups below walk through memory instead of jumping; the sort by time shuffles them again.
    customer = population.choose(np.sort(rng.random(rows)))
    seconds = times_of_day(rng, rows)
    amount = amounts(rng, population.mean_amount[customer])
    reach = population.reach
    choice = (rng.random(rows) * reach.counts[customer]).astype(np.int64)
    if conduct.shut is not None:
        choice = in_business(population, customer, choice, conduct.shut)
    terminal = reach.members[reach.offsets[customer] + choice].astype(np.int64)

    scenario = (amount > LARGE_AMOUNT).astype(np.int8)
    other = stream_of(seed, Stream.CONDUCT, day)  # of its own: what it draws changes nothing else
    at_risk = COMPROMISED_TERMINALS.on(day, seed, terminals)[terminal] > 0
    if conduct.terminal_share < 1:
        at_risk &= other.random(rows) < conduct.terminal_share
    scenario[at_risk] = 2
    leaks = COMPROMISED_CUSTOMERS.on(day, seed, len(population.mean_amount))[customer]
    at_risk = np.flatnonzero(leaks)
    hits = rng.binomial(leaks[at_risk], conduct.card_share)
    amount[at_risk] *= CARD_FRAUD_FACTOR**hits
    scenario[at_risk[hits > 0]] = 3
    if conduct.sold_share > 0:
        sold = SOLD_CARDS.on(day, seed, len(population.mean_amount))[customer] > 0
        used = np.flatnonzero(sold & (other.random(rows) < conduct.sold_share))
        amount[used] = np.maximum(np.round(amount[used] * SOLD_CARD_AMOUNT, 2), 0.01)
        seconds[used] = 1 + seconds[used] % (SOLD_CARD_HOURS * 3600)
        scenario[used] = 4
    if conduct.prices != 1:
        amount = np.maximum(np.round(amount * conduct.prices, 2), 0.01)

    # Second and position in one integer: a plain sort is several times as fast as a stable argsort.
    order = np.sort(seconds << 32 | np.arange(rows)) & 0xFFFF_FFFF
    return Transactions(*(column[order] for column in (seconds, customer, terminal, amount, scenario)))


def in_business(population: Population, customer: Ints, choice: Ints, shut: int) -> Ints:
    """The next terminal in the customer's reach for each that is shut; a customer of none but shut ones keeps it."""
    reach, choice = population.reach, choice.copy()
    for _ in range(8):
        terminal = reach.members[reach.offsets[customer] + choice]
        closed = terminal % SHUT_ONE_OF == shut
        choice[closed] = (choice[closed] + 1) % reach.counts[customer[closed]]
    return choice


def times_of_day(rng: np.random.Generator, rows: int) -> Ints:
    """Whole seconds in [1, 86400): normal around noon, redrawn where outside the day."""
    times = rng.normal(TIMES.mean, TIMES.stdev, rows)
    while (outside := np.flatnonzero((times < 1) | (times >= DAY_SECONDS))).size:
        times[outside] = rng.normal(TIMES.mean, TIMES.stdev, outside.size)
    return times.astype(np.int64)


def amounts(rng: np.random.Generator, mean: Floats) -> Floats:
    """Normal with a deviation of half the mean, uniform on [0, 2 mean] where that is negative; rounded to cents."""
    amount = mean * (1 + rng.standard_normal(len(mean)) / 2)
    negative = np.flatnonzero(amount < 0)
    amount[negative] = 2 * mean[negative] * rng.random(negative.size)
    return np.maximum(np.round(amount, 2), 0.01)
