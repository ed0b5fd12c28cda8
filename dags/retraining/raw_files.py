"""What a raw file looks like, from a sample of its rows: histograms of amounts and hours."""

import gzip
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any

BLOCK, BLOCKS = 256 << 10, 64  # bytes and number of the pieces that are read of a large plain file
MOST_ROWS = 500_000  # that are read of a packed one, from its beginning
COLUMNS, TIME, AMOUNT = 9, 1, 4  # of a raw row


def sample(s3: Any, bucket: str, key: str, size: int) -> Iterator[bytes]:
    """Rows of a raw object, without line ends: all of a small one, pieces spread evenly over a large one."""
    if key.endswith(".gz"):
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        lines = islice(gzip.GzipFile(fileobj=body), MOST_ROWS)
        yield from (line.rstrip(b"\r\n") for line in lines)
    elif size <= BLOCK * BLOCKS:
        yield from s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    else:
        for number in range(BLOCKS):
            first = number * (size - BLOCK) // (BLOCKS - 1)
            piece = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{first + BLOCK - 1}")["Body"].read()
            yield from piece.splitlines()[1:-1]  # the first and the last are cut


def count(rows: Iterable[bytes]) -> dict[str, Any]:
    """Histograms of raw rows: amounts in quarters of an octave, hours of the day; and how many are not such rows."""
    amounts: Counter[int] = Counter()
    hours: Counter[int] = Counter()
    bad = 0
    for row in rows:
        if row.startswith(b"#"):
            continue
        fields = row.split(b",")
        try:
            hour, octave = int(fields[TIME].strip()[11:13]), math.log2(float(fields[AMOUNT]))
            if len(fields) != COLUMNS or not 0 <= hour < 24:
                raise ValueError
            bin_ = math.floor(4 * octave)
        except (ValueError, IndexError, OverflowError):
            bad += 1
            continue
        hours[hour] += 1
        amounts[bin_] += 1
    return {"rows": sum(hours.values()) + bad, "bad": bad, "amount": dict(amounts), "hour": dict(hours)}


def merged(histograms: Iterable[Mapping[str, Any]], name: str) -> dict[int, int]:
    """Sum of one histogram over files (JSON has turned its keys into text)."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update({int(key): value for key, value in histogram[name].items()})
    return dict(total)


def split(names: Sequence[str], test: Sequence[str], first: str) -> tuple[list[str], list[str]]:
    """Raw files by what they are to the champion: those of its train and test windows, and those that begin later.

    Args:
        names: raw files, oldest first, each named by its first day; it ends where the next one begins.
        test, first: the champion's test week, and the first day of its train window.
    """
    later = [name for name in names if name[:10] > test[1]]
    known = [name for name in names if name[:10] <= test[1]]
    begins = [name[:10] for name in known]
    before = sum(1 for _ in takewhile(lambda day: day <= first, begins[1:]))
    return known[before:], later
