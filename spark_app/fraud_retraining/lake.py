"""Where things lie in the lake, and how files are listed, read, written and moved there.

Everything goes through Hadoop's FileSystem of the Spark session, so ``s3a://``, ``hdfs://`` and plain folders work
alike. Paths are literal: no character of a name stands for another.

===========================================  ========================================================================
``raw/YYYY-MM-DD….txt[.gz]``                 input, named by the first day it covers
``prepared/day=YYYY-MM-DD/*.parquet``        clean rows (``quality.PREPARED_SCHEMA``)
``quarantine/rule=<rule>/*.json``            bad rows: raw line, file
``manifest/<raw file>.json``                 one per raw file that is fully prepared; names its parts in both
``runs/<run id>/prepare.json``               what ``prepare`` did in that run
``evidence/<model>/<first day>.json``        gains of a test week, for the next retrains (``evidence``)
``scores/``, ``alerts/``                     what the version that serves says of them (``scoring``)
===========================================  ========================================================================

Only parts that a manifest names count. A run that died half-way leaves parts that nobody reads and that its
repetition writes again under the same names.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, TypeVar

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from fraud_retraining.errors import RetrainingError

Manifest = Dict[str, Any]
T = TypeVar("T")

RAW_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?!\d).*\.txt(\.gz)?", re.DOTALL)
RAW_FORM = "YYYY-MM-DD.txt or YYYY-MM-DD.txt.gz, named by the first day that the file covers, not after today"
OLDEST = date(1900, 1, 1)  # of a file's first day; an older one is a slip of the pen
REQUESTS = 16  # at a time: an object store takes its time for each
LEFT_THERE = re.compile(r"\..*\.crc|_SUCCESS", re.DOTALL)
PATTERN = re.compile(r"[\[\]{}*?\\]")  # what Hadoop's globbing reads in a path
LITERAL = "__globPaths__"  # Spark's own option of a reader; right for a single path only
PATH = "_metadata.file_path AS _path"


@dataclass(frozen=True)
class FileInfo:
    """An entry of a folder: full path, last part of the path, bytes, ETag (None if the store has none)."""

    path: str
    name: str
    size: int
    etag: Optional[str]
    is_folder: bool = False

    @property
    def first_day(self) -> date:
        """The day in a raw file's name."""
        return date.fromisoformat(self.name[: len("YYYY-MM-DD")])


class Files:
    """Files under one root through the session's Hadoop FileSystem. Paths are relative to the root."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self._hadoop = spark.sparkContext._jvm.org.apache.hadoop
        path = self._hadoop.fs.Path(root)
        self._fs = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
        self._fs.setWriteChecksum(False)  # a .crc file comes a moment after its file, and a reader between them fails
        self._replaces_at_once = self._fs.getUri().getScheme().startswith("s3")
        self.root = self._fs.makeQualified(path).toString().rstrip("/")

    def path(self, relative: str) -> str:
        return f"{self.root}/{relative}"

    def _path(self, relative: str) -> Any:
        return self._hadoop.fs.Path(self.path(relative))

    def key(self, path: str) -> str:
        """A full path as Spark's column ``_metadata.file_path`` has it."""
        return str(self._hadoop.fs.Path(path).toUri().toString())

    def exists(self, relative: str) -> bool:
        return bool(self._fs.exists(self._path(relative)))

    def is_file(self, relative: str) -> bool:
        return self.exists(relative) and bool(self._fs.getFileStatus(self._path(relative)).isFile())

    def list(self, relative: str) -> List[FileInfo]:
        """Entries of a folder sorted by name; an absent folder is empty. Hidden ones (``.``, ``_``) are left out."""
        if not self.exists(relative):
            return []
        found = [self._info(status) for status in self._fs.listStatus(self._path(relative))]
        return sorted((info for info in found if not info.name.startswith((".", "_"))), key=lambda info: info.name)

    def names(self, relative: str) -> List[str]:
        """Names of all entries of a folder, the hidden ones too; of a file its own."""
        if not self.exists(relative):
            return []
        return sorted(status.getPath().getName() for status in self._fs.listStatus(self._path(relative)))

    def hidden(self, relative: str) -> List[str]:
        """Names in a folder that nothing here reads, but for those that Hadoop itself leaves there."""
        return [name for name in self.names(relative) if name.startswith((".", "_")) and not LEFT_THERE.fullmatch(name)]

    def walk(self, relative: str) -> List[str]:
        """Files below a folder, relative to the root. Hidden ones are left out."""
        found, names = self._fs.listFiles(self._path(relative), True), []
        while found.hasNext():
            names.append(found.next().getPath().toString()[len(self.root) + 1 :])
        return sorted(name for name in names if not name.rpartition("/")[2].startswith((".", "_")))

    @staticmethod
    def _info(status: Any) -> FileInfo:
        etag = status.getETag() if status.getClass().getSimpleName() == "S3AFileStatus" else None
        path = status.getPath()
        return FileInfo(path.toString(), path.getName(), status.getLen(), etag, status.isDirectory())

    def fingerprint(self, info: FileInfo) -> str:
        """What changes with a file's content: its ETag, else the MD5 of its bytes."""
        if info.etag:
            return info.etag
        stream = self._fs.open(self._hadoop.fs.Path(info.path))
        try:
            return str(self._hadoop.io.MD5Hash.digest(stream).toString())
        finally:
            stream.close()

    def text(self, found: Sequence[FileInfo]) -> DataFrame:
        """Lines of text files: ``value``, and ``number``, the file's place in ``found``."""
        return self.numbered("text", [info.path for info in found], range(len(found)), "number")

    def numbered(self, kind: str, paths: Sequence[str], numbers: Iterable[int], name: str) -> DataFrame:
        """Rows of files with a column ``name``, the number that was given to each file."""
        numbers = list(numbers)
        if len(numbers) == 1:
            return self._read(kind, paths).drop("_path").withColumn(name, F.lit(numbers[0]))
        known = [(self.key(path), number) for path, number in zip(paths, numbers)]
        table = F.broadcast(self.spark.createDataFrame(known, f"_path string, {name} int"))
        return self._read(kind, paths).join(table, "_path").drop("_path")

    def line_numbers(self, info: FileInfo, texts: Sequence[str]) -> Dict[str, int]:
        """The number of the first line of a text file with each of these texts, counted from 1."""
        identity = F.monotonically_increasing_id()  # of a row: its partition's number, and its own in the partition
        lines = self._read("text", [info.path]).select("value", identity.alias("id"))
        partition = F.expr("shiftright(id, 33)")
        rows = {row["p"]: row["count"] for row in lines.groupBy(partition.alias("p")).count().collect()}
        found = lines.where(F.col("value").isin(list(texts))).groupBy("value").agg(F.min("id").alias("id")).collect()
        before = {p: sum(count for other, count in rows.items() if other < p) for p in rows}
        return {row["value"]: 1 + before[row["id"] >> 33] + row["id"] % 2**33 for row in found}

    def parquet(self, paths: Sequence[str]) -> DataFrame:
        """Rows of Parquet files; a folder's name is no column."""
        return self._read("parquet", paths).drop("_path")

    def folder(self, kind: str, relative: str, schema: str) -> DataFrame:
        """Rows of a folder's files; the schema has the columns that the names of its folders say, too."""
        return self.spark.read.format(kind).schema(schema).option(LITERAL, "false").load(self.path(relative))

    def _read(self, kind: str, paths: Sequence[str]) -> DataFrame:
        """Rows of files with ``_path``, the file's key.

        Spark takes [ ] { } * ? in a path for a pattern; its way around that is right for one path only: the folder.
        """
        reader = self.spark.read.format(kind)
        if not any(map(PATTERN.search, paths)):
            return reader.load(list(paths)).select("*", F.expr(PATH))
        folder = reader.option(LITERAL, "false").option("recursiveFileLookup", "true").load(common_folder(paths))
        # Spark 3.3 leaves files out by their plain path, and then compares rows with the encoded one.
        wanted = sorted({*paths, *map(self.key, paths)})
        return folder.select("*", F.expr(PATH)).where(F.col("_path").isin(wanted))

    def read_bytes(self, relative: str) -> bytes:
        stream = self._fs.open(self._path(relative))
        try:
            return bytes(stream.readAllBytes())
        finally:
            stream.close()

    def read_json(self, relative: str) -> Any:
        return json.loads(self.read_bytes(relative).decode("utf-8"))

    def write_json(self, relative: str, value: Any, replace: bool) -> None:
        """Write so that a reader sees all of it or nothing. An existing file is kept unless ``replace``."""
        self.write_bytes(relative, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("utf-8"), replace)

    def write_bytes(self, relative: str, content: bytes, replace: bool) -> None:
        """Write so that a reader sees all of it or nothing. An existing file is kept unless ``replace``."""
        if not replace and self.exists(relative):
            return
        folder, _, name = relative.rpartition("/")
        temporary = f"{folder}/_{name}.{self.spark.sparkContext.applicationId}"
        written = relative if self._replaces_at_once else temporary
        stream = self._fs.create(self._path(written), True)
        try:
            stream.write(content)
        finally:
            stream.close()
        # A plain folder's rename replaces the target; HDFS's does not.
        if written == temporary and not self._fs.rename(self._path(temporary), self._path(relative)):
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

    def first_line(self, info: FileInfo) -> bytes:
        """First line of a file, decompressed by the codec of its suffix; a line ends as it does for Spark."""
        return re.split(rb"\r|\n", self.head(info), maxsplit=1)[0]

    def head(self, info: FileInfo, limit: int = 4096) -> bytes:
        """The first ``limit`` bytes of a file, decompressed by the codec of its suffix."""
        path = self._hadoop.fs.Path(info.path)
        codec = self._hadoop.io.compress.CompressionCodecFactory(
            self.spark.sparkContext._jsc.hadoopConfiguration()
        ).getCodec(path)
        stream = self._fs.open(path)
        try:
            reader = codec.createInputStream(stream) if codec else stream
            return bytes(reader.readNBytes(limit))
        finally:
            stream.close()


class Lake:
    """The lake's layout over :class:`Files`."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.files = Files(spark, root)

    def manifests(self) -> Dict[str, Manifest]:
        """Manifest per raw file name."""
        paths = [f"manifest/{info.name}" for info in self.files.list("manifest")]
        return {manifest["file"]: with_rows(manifest) for manifest in at_once(self.files.read_json, paths)}

    def part_paths(self, manifests: Iterable[Manifest], first: date, last: date) -> List[str]:
        """Paths of prepared parts whose day lies in [first, last]."""
        return [
            self.files.path(f"prepared/{part}")
            for manifest in manifests
            for part in manifest["parts"]
            if first <= part_day(part) <= last
        ]

    def prepared(self, manifests: Iterable[Manifest], first: date, last: date) -> DataFrame:
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
        return self.files.parquet(paths)


def with_rows(manifest: Manifest) -> Manifest:
    """A manifest of an earlier version whose raw file is gone, with rows by part: as if all had the same."""
    if isinstance(manifest["parts"], list):
        rows = manifest["prepared"] // max(1, len(manifest["parts"]))
        return {**manifest, "parts": dict.fromkeys(manifest["parts"], rows)}
    return manifest


def at_once(work: Callable[[Any], T], items: Iterable[Any]) -> List[T]:
    """Results of small requests, many at a time, in the order of the items."""
    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(work, items))


def common_folder(paths: Sequence[str]) -> str:
    """The deepest folder that all of these files are in."""
    parts = [path.split("/")[:-1] for path in paths]
    depth = min(map(len, parts))
    same = next((place for place in range(depth) if len({part[place] for part in parts}) > 1), depth)
    return "/".join(parts[0][:same])


def sort_out(found: Iterable[FileInfo]) -> Tuple[List[FileInfo], List[FileInfo]]:
    """Raw files in the order of time, and what cannot be one: another name, or a folder."""
    raw: List[FileInfo] = []
    strange: List[FileInfo] = []
    for info in found:
        (raw if is_raw(info) else strange).append(info)
    return raw, strange


def is_raw(info: FileInfo) -> bool:
    if info.is_folder or not RAW_NAME.fullmatch(info.name):
        return False
    try:
        return OLDEST <= info.first_day <= datetime.now(timezone.utc).date()
    except ValueError:  # a thirteenth month
        return False


def not_raw(strange: Sequence[FileInfo]) -> str:
    """Sentence about entries that are no raw files."""
    named = ", ".join(f"{info.path}{' (a folder)' if info.is_folder else ''}" for info in strange)
    return f"{named}: no raw file by its name; expected {RAW_FORM}; rename it, or take it out of the folder"


def part_day(part: str) -> date:
    """Day of a part like ``day=2018-04-01/….parquet``."""
    return date.fromisoformat(part[len("day=") : len("day=YYYY-MM-DD")])


def parts_by_day(manifests: Iterable[Manifest], which: str = "parts") -> Dict[str, List[str]]:
    """Parts that manifests name under a key, by day."""
    parts: Dict[str, List[str]] = {}
    for manifest in manifests:
        for part in manifest[which]:
            parts.setdefault(str(part_day(part)), []).append(part)
    return parts


def prepared_days(manifests: Iterable[Manifest]) -> Dict[date, int]:
    """Rows by prepared day, in the order of time."""
    rows: Dict[date, int] = {}
    for manifest in manifests:
        for part, count in manifest["parts"].items():
            rows[part_day(part)] = rows.get(part_day(part), 0) + count
    return dict(sorted(rows.items()))


def unlabelled_days(manifests: Iterable[Manifest]) -> Dict[date, int]:
    """Rows whose label has not arrived, by prepared day; days without such rows are left out."""
    rows: Dict[date, int] = {}
    for manifest in manifests:
        for text, count in manifest.get("unlabelled", {}).items():
            rows[date.fromisoformat(text)] = rows.get(date.fromisoformat(text), 0) + count
    return rows


def prepared_range(manifests: Iterable[Manifest]) -> str:
    """Readable range of the prepared days."""
    days = list(prepared_days(manifests))
    return f"{days[0]} .. {days[-1]}" if days else "no prepared day"
