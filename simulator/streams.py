"""Independent streams of random numbers, all from one seed."""

from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


class Stream(IntEnum):
    """What is drawn; the numbers are part of every file that was ever made."""

    PROFILES = 0
    ROWS = 1
    TRANSACTIONS = 2
    TERMINALS = 3
    CUSTOMERS = 4
    FAULTS = 5
    SOLD_CARDS = 6
    CONDUCT = 7
    LABELS = 8


def stream_of(seed: int, stream: Stream, day: int = 0) -> np.random.Generator:
    """The stream from its beginning."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(stream, day))))
