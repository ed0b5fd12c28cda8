"""Rows whose id an earlier row has, in one pass over all files and what the lake has of other files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Mapping, Optional, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fraud_retraining import quality
from fraud_retraining.lake import Files, Manifest

BROADCAST = 100_000  # words that the driver and every executor may hold
IN_WORD = f"{quality.WORD} = word"


@dataclass(frozen=True)
class Duplicates:
    """The good rows whose id is not alone in its word, with their verdict; both frames are None if there are none.

    ``crowded`` has these words, ``judged`` the rows (persisted), ``counts`` the number of duplicates by file.
    """

    crowded: Optional[DataFrame] = None
    judged: Optional[DataFrame] = None
    counts: Mapping[int, int] = field(default_factory=dict)

    def flag(self, rows: DataFrame) -> DataFrame:
        """The rows that were looked through, with the rule ``duplicate`` among the others."""
        if self.crowded is None or self.judged is None:
            return rows
        alone = rows.join(self.crowded, F.expr(f"rule IS NULL AND {IN_WORD}"), "left_anti")
        return alone.unionByName(self.judged)

    def forget(self) -> None:
        if self.judged is not None:
            self.judged.unpersist()


def find(files: Files, rows: DataFrame, names: Mapping[int, str], others: Sequence[Manifest]) -> Duplicates:
    """Duplicates among good rows.

    Args:
        rows: flagged rows of the files ``names``, by their number.
        others: manifests of earlier files with ids in the same range.
    """
    ordered = sorted([*names.values(), *(other["file"] for other in others)])
    places = {name: place for place, name in enumerate(ordered)}
    good = rows.where("rule IS NULL")
    known = prepared_ids(files, others, places)
    ids = good.select("transaction_id").unionByName(known.select("transaction_id")) if known is not None else good
    crowded = quality.crowded_words(ids.select("transaction_id"))
    words = crowded.limit(BROADCAST + 1).collect()
    if not words:
        return Duplicates()
    if len(words) <= BROADCAST:
        crowded = F.broadcast(files.spark.createDataFrame(words, crowded.schema))
    place = quality.by_number({number: places[name] for number, name in names.items()}, "int")
    suspects = good.withColumn("place", place).join(crowded, F.expr(IN_WORD), "left_semi")
    if known is not None:
        suspects = suspects.unionByName(known.join(crowded, F.expr(IN_WORD), "left_semi"), allowMissingColumns=True)
    judged = quality.flag_duplicates(suspects).where("number IS NOT NULL").select(rows.columns).persist()
    found = judged.where(F.col("rule") == quality.DUPLICATE).groupBy("number").count().collect()
    return Duplicates(crowded, judged, {row["number"]: row["count"] for row in found})


def prepared_ids(files: Files, manifests: Sequence[Manifest], places: Mapping[str, int]) -> Optional[DataFrame]:
    """``transaction_id`` of everything that was prepared from these files, with the file's ``place``."""
    parts: List[str] = []
    numbers: List[int] = []
    for manifest in manifests:
        parts += [files.path(f"prepared/{part}") for part in manifest["parts"]]
        numbers += [places[manifest["file"]]] * len(manifest["parts"])
    if not parts:
        return None
    return files.numbered("parquet", parts, numbers, "place").select("transaction_id", "place")
