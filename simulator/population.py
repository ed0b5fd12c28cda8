"""Who there is: customers with their habits, terminals, and which terminals each customer reaches."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.streams import Floats, Ints, Stream, stream_of

SIDE = 100.0  # customers and terminals live in a square of this side
RADIUS = 5.0  # reach of a customer among this many terminals:
RADIUS_TERMINALS = 10_000
MEAN_AMOUNT = (5.0, 100.0)
TX_PER_DAY = (0.0, 4.0)


class Reach(NamedTuple):
    """Row i's members are `members[offsets[i] : offsets[i] + counts[i]]`."""

    offsets: Ints
    counts: Ints
    members: NDArray[np.int32]


class Population(NamedTuple):
    """A row a customer: the mean amount, the terminals in reach, and the share of all transactions up to this one's."""

    mean_amount: Floats
    reach: Reach
    share: Floats  # ascending, the last is 1
    rate: float  # transactions that all customers together begin in a day

    @classmethod
    def draw(cls, seed: int, customers: int, terminals: int) -> "Population":
        rng = stream_of(seed, Stream.PROFILES)
        homes = rng.uniform(0, SIDE, (customers, 2))
        mean_amount = rng.uniform(*MEAN_AMOUNT, customers)
        rate = rng.uniform(*TX_PER_DAY, customers)
        places = rng.uniform(0, SIDE, (terminals, 2))
        reach = within(homes, places, RADIUS * math.sqrt(RADIUS_TERMINALS / terminals))
        cumulative = np.cumsum(np.where(reach.counts > 0, rate, 0.0))
        return cls(mean_amount, reach, cumulative / cumulative[-1], float(cumulative[-1]))

    def choose(self, chances: Floats) -> Ints:
        """A customer for each number in [0, 1), in proportion to their rates."""
        return np.searchsorted(self.share, chances, side="right")


def within(homes: Floats, places: Floats, radius: float, chunk: int = 20_000) -> Reach:
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
    return Reach(np.cumsum(count) - count, count, np.concatenate(members))
