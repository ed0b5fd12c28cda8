"""Rows cut into parts that are even: work is done when its largest task is."""

from __future__ import annotations

import heapq
from typing import Any, Dict, List, Mapping

from pyspark.sql import SparkSession
from pyspark.sql import functions as F


def assign(sizes: Mapping[Any, int], parts: int) -> Dict[Any, int]:
    """A part for each key, such that parts have about as many rows; none is empty if there are as many keys.

    Each key, the largest first, goes to the part that has the fewest rows so far.
    """
    loads = [(0, part) for part in range(parts)]
    chosen = {}
    for key in sorted(sizes, key=lambda key: (-sizes[key], key)):
        load, part = heapq.heappop(loads)
        chosen[key] = part
        heapq.heappush(loads, (load + sizes[key], part))
    return chosen


def numbers_hashed_to(spark: SparkSession, parts: int) -> List[int]:
    """For each of so many parts an integer that Spark's hash partitioning puts there.

    Spark can only be told a part by a value that it hashes itself.
    """
    hashed = spark.range(100 * parts).select(F.expr("cast(id AS int) AS number"))
    hashed = hashed.select("number", F.expr(f"pmod(hash(number), {parts}) AS part"))
    found = {row["part"]: row["number"] for row in hashed.collect()}
    return [found[part] for part in range(parts)]
