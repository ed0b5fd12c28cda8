"""Where things lie in the lake, and how small files are read, written and moved there.

Everything goes through Hadoop's FileSystem of the Spark session, so ``s3a://``, ``hdfs://`` and plain folders work
alike.

===========================================  ========================================================================
``raw/YYYY-MM-DD.txt[.gz]``                  input, named by the first day it covers
``prepared/day=YYYY-MM-DD/*.parquet``        clean rows (``quality.PREPARED_SCHEMA``)
``quarantine/rule=<rule>/*.json``            bad rows: raw line, file
``manifest/<raw file>.json``                 one per raw file that is fully prepared; names its parts in ``prepared/``
``runs/<run id>/prepare.json``               what ``prepare`` did in that run
===========================================  ========================================================================

Only parts that a manifest names count. A run that died half-way leaves parts that nobody reads and that its
repetition writes again under the same names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Dict, Iterable, List, Optional

from pyspark.sql import DataFrame, SparkSession

from fraud_retraining.errors import RetrainingError


@dataclass(frozen=True)
class FileInfo:
    """A file: full path, last part of the path, bytes, ETag (None if the store has none)."""

    path: str
    name: str
    size: int
    etag: Optional[str]


class Files:
    """Small-file operations under one root through the session's Hadoop FileSystem. Paths are relative to the root."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self._hadoop = spark.sparkContext._jvm.org.apache.hadoop
        path = self._hadoop.fs.Path(root)
        self._fs = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
        self.root = self._fs.makeQualified(path).toString().rstrip("/")

    def path(self, relative: str) -> str:
        return f"{self.root}/{relative}"

    def _path(self, relative: str) -> Any:
        return self._hadoop.fs.Path(self.path(relative))

    def exists(self, relative: str) -> bool:
        return self._fs.exists(self._path(relative))

    def list(self, relative: str) -> List[FileInfo]:
        """Entries of a folder sorted by name; an absent folder is empty. Hidden ones (``.``, ``_``) are left out."""
        if not self.exists(relative):
            return []
        found = [self._info(status) for status in self._fs.listStatus(self._path(relative))]
        return sorted((info for info in found if not info.name.startswith((".", "_"))), key=lambda info: info.name)

    @staticmethod
    def _info(status: Any) -> FileInfo:
        etag = status.getETag() if status.getClass().getSimpleName() == "S3AFileStatus" else None
        return FileInfo(status.getPath().toString(), status.getPath().getName(), status.getLen(), etag)

    def read_json(self, relative: str) -> Any:
        stream = self._fs.open(self._path(relative))
        try:
            return json.loads(bytes(stream.readAllBytes()).decode("utf-8"))
        finally:
            stream.close()

    def write_json(self, relative: str, value: Any, replace: bool) -> None:
        """Write so that a reader sees all of it or nothing. An existing file is kept unless ``replace``."""
        text = json.dumps(value, indent=1, sort_keys=True) + "\n"
        folder, _, name = relative.rpartition("/")
        temporary = f"{folder}/_{name}.{self.spark.sparkContext.applicationId}"
        stream = self._fs.create(self._path(temporary), True)
        try:
            stream.write(text.encode("utf-8"))
        finally:
            stream.close()
        if replace:
            self.delete(relative)
        self.move(temporary, relative)

    def move(self, source: str, target: str) -> None:
        """Move a file. An existing target is kept: whoever wrote it wrote the same."""
        folder = self._path(target).getParent()
        if not self._fs.exists(folder):
            self._fs.mkdirs(folder)
        if self.exists(target) or not self._fs.rename(self._path(source), self._path(target)):
            if not self.exists(target):
                raise RetrainingError(f"{self.path(source)} could not be moved to {self.path(target)}")
            self.delete(source)

    def delete(self, relative: str) -> None:
        self._fs.delete(self._path(relative), True)

    def first_line(self, info: FileInfo, limit: int = 4096) -> bytes:
        """First line of a file, decompressed by the codec of its suffix; at most ``limit`` bytes."""
        path = self._hadoop.fs.Path(info.path)
        codec = self._hadoop.io.compress.CompressionCodecFactory(
            self.spark.sparkContext._jsc.hadoopConfiguration()
        ).getCodec(path)
        stream = self._fs.open(path)
        try:
            reader = codec.createInputStream(stream) if codec else stream
            return bytes(reader.readNBytes(limit)).split(b"\n", 1)[0]
        finally:
            stream.close()


class Lake:
    """The lake's layout over :class:`Files`."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.files = Files(spark, root)

    def raw_files(self) -> List[FileInfo]:
        """Raw files of the lake in the order of their names, which is the order of time."""
        return text_files(self.files.list("raw"))

    def manifests(self) -> Dict[str, Dict[str, Any]]:
        """Manifest per raw file name, read in one pass."""
        if not self.files.list("manifest"):
            return {}
        rows = self.spark.read.text(self.files.path("manifest"), wholetext=True).collect()
        return {manifest["file"]: manifest for manifest in (json.loads(row.value) for row in rows)}

    def part_paths(self, manifests: Iterable[Dict[str, Any]], first: date, last: date) -> List[str]:
        """Paths of prepared parts whose day lies in [first, last]."""
        return [
            self.files.path(f"prepared/{part}")
            for manifest in manifests
            for part in manifest["parts"]
            if first <= part_day(part) <= last
        ]

    def prepared(self, manifests: Iterable[Dict[str, Any]], first: date, last: date) -> DataFrame:
        """Prepared rows of the days [first, last] of the given raw files.

        Raises:
            RetrainingError: no prepared day in that range.
        """
        manifests = list(manifests)
        paths = self.part_paths(manifests, first, last)
        if not paths:
            raise RetrainingError(
                f"no prepared day in {first} .. {last}; the lake has {prepared_range(manifests)}; run prepare first"
            )
        return self.spark.read.parquet(*paths)


def text_files(found: List[FileInfo]) -> List[FileInfo]:
    """Those that can be raw files, by their suffix."""
    return [info for info in found if info.name.endswith((".txt", ".txt.gz"))]


def part_day(part: str) -> date:
    """Day of a part like ``day=2018-04-01/….parquet``."""
    return date.fromisoformat(part[len("day=") : len("day=YYYY-MM-DD")])


def prepared_days(manifests: Iterable[Dict[str, Any]]) -> List[date]:
    """Distinct prepared days, sorted."""
    return sorted({part_day(part) for manifest in manifests for part in manifest["parts"]})


def prepared_range(manifests: Iterable[Dict[str, Any]]) -> str:
    """Readable range of the prepared days."""
    days = prepared_days(manifests)
    return f"{days[0]} .. {days[-1]}" if days else "no prepared day"
