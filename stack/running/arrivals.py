"""Where new data come from: files of the lake's format, a person's own or made, brought to the lake."""

import gzip
import re
import zlib
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from dags.retraining.patience import Patience
from stack.common.errors import StackError
from stack.common.options import Variable
from stack.common.storage import storage_client

# A retrain on day T looks back 21 days (label delay, test week, delay), then 28 of training, then 37 of history.
HISTORY = timedelta(days=91)
NAME = re.compile(r"(\d{4}-\d\d-\d\d)\.txt(\.gz)?")
HEADER = "# tranaction_id"
PUBLIC_STORAGE = "https://storage.yandexcloud.net"
LAKE = Variable("FRAUD_LAKE", "a folder, or s3://bucket/prefix", "~/lake")
ENDPOINT = Variable(
    "FRAUD_LAKE_ENDPOINT",
    "an address of http or https",
    PUBLIC_STORAGE,
    lambda text: re.fullmatch(r"https?://[^\s/]+/?", text),
)


class Source(Protocol):
    """Files in the order of time; the n-th has a name and can be brought into a folder."""

    label: str
    is_made: bool  # by a generator, which has no end

    def name(self, index: int) -> str | None:
        """File name, or None past the end."""

    def bring(self, index: int, folder: Path) -> Path:
        """Puts the file into `folder`; returns its path."""


def first_day(name: str) -> date:
    found = NAME.fullmatch(name)
    assert found, name
    return date.fromisoformat(found[1])


def data_files(names: Iterable[str], where: str) -> list[str]:
    """Names of data files, oldest first.

    Raises:
        StackError: there are none.
    """
    found = sorted(name for name in names if NAME.fullmatch(name))
    if not found:
        raise StackError(
            f"No data file in {where}: files named YYYY-MM-DD.txt or YYYY-MM-DD.txt.gz are expected, each by its first "
            "day. Name another folder with FRAUD_LAKE=…, or leave it out to have transactions generated."
        )
    return found


def check_file(path: Path) -> None:
    """Reads a file as the jobs will and raises StackError if it is broken, before a cluster is paid for."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as handle:
            head = handle.readline(4096)
            while path.suffix == ".gz" and handle.read(1 << 22):  # a truncated gzip shows only at its end
                pass
    except (OSError, EOFError, zlib.error) as problem:
        raise StackError(
            f"{path.name} cannot be read: {problem}. Fetch the file again (`gzip -t {path}` shows the fault), "
            "or leave it out of FRAUD_LAKE."
        ) from None
    if not head.decode("utf-8-sig", errors="replace").startswith(HEADER):
        shown = head[:60].decode(errors="replace").strip()
        raise StackError(
            f"{path.name} begins with {shown!r}; the first line of a data file begins with {HEADER!r}. "
            "It is not a file of the lake: leave it out of FRAUD_LAKE."
        )


class FolderSource:
    """Files of a folder of this machine."""

    is_made = False

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise StackError(f"FRAUD_LAKE={folder} is not a folder. Name a folder of data files or an s3:// address.")
        self.label, self.folder = str(folder.resolve()), folder
        self.names = data_files((p.name for p in folder.iterdir()), str(folder))

    def name(self, index: int) -> str | None:
        return self.names[index] if index < len(self.names) else None

    def bring(self, index: int, folder: Path) -> Path:
        path = self.folder / self.names[index]
        check_file(path)
        return path


class BucketSource:
    """Files of a public bucket."""

    is_made = False

    def __init__(self, url: str, endpoint: str) -> None:
        self.label = url
        self.bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self.prefix = prefix.rstrip("/") + "/" if prefix else ""
        self.s3 = storage_client(endpoint, patience=Patience(5))
        try:
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
            keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        except (BotoCoreError, ClientError) as problem:
            raise StackError(
                f"FRAUD_LAKE={url} cannot be listed at {endpoint}: {problem}. The bucket must be public; another "
                "storage service is named by FRAUD_LAKE_ENDPOINT=https://…"
            ) from None
        self.names = data_files((key.removeprefix(self.prefix) for key in keys), url)

    def name(self, index: int) -> str | None:
        return self.names[index] if index < len(self.names) else None

    def bring(self, index: int, folder: Path) -> Path:
        path = folder / self.names[index]
        self.s3.download_file(self.bucket, self.prefix + path.name, str(path))
        check_file(path)
        return path


class GeneratedSource:
    """Made transactions, a file a week, for as many weeks as one likes."""

    START = date(2018, 4, 1)
    is_made = True

    def __init__(self, customers: int, seed: int) -> None:
        from simulator import Generator  # brings polars, which no other command needs

        self.label = f"generated, {customers} customers, seed {seed}"
        self.generator = Generator(seed=seed, customers=customers, terminals=2 * customers, start=self.START)

    def name(self, index: int) -> str | None:
        return f"{self.START + timedelta(weeks=index)}.txt"

    def bring(self, index: int, folder: Path) -> Path:
        return self.generator.write_file(folder, self.START + timedelta(weeks=index), 7).path


def source(lake: str | None, endpoint: str, customers: int, seed: int) -> Source:
    """The source that FRAUD_LAKE names: a folder, an s3:// address, or none, which generates."""
    if not lake:
        return GeneratedSource(customers, seed)
    return BucketSource(lake, endpoint) if lake.startswith("s3://") else FolderSource(Path(lake))


def first_batch(files: Source) -> int:
    """How many files the first cycle needs, so that its windows are full.

    Raises:
        StackError: the source does not reach that far.
    """
    start = files.name(0)
    assert start
    index = 1
    while following := files.name(index):
        if first_day(following) - first_day(start) >= HISTORY:
            return index
        index += 1
    raise StackError(
        f"{files.label} covers less than the {HISTORY.days} days (and one file more) that a first retrain needs: "
        f"{index} files from {start}. Name a folder with more files: FRAUD_LAKE=…"
    )


def deliver(files: Source, indices: Iterable[int], s3: Any, scratch: Path, lake: str = "lake") -> list[str]:
    """Brings files to `raw/` of the bucket `lake`; returns their names."""
    scratch.mkdir(exist_ok=True)
    brought = []
    for index in indices:
        path = files.bring(index, scratch)
        s3.upload_file(str(path), lake, f"raw/{path.name}")
        if path.parent == scratch:
            path.unlink()
        brought.append(path.name)
    return brought
