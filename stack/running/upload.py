"""`make upload`: data files into the lake of a deployment, a person's own or the next made week."""

from itertools import count, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dags.retraining import lake as contents
from stack.common.console import say
from stack.common.errors import StackError
from stack.running import arrivals

RAW = "raw/"
MADE_BY = "made-by.json"  # of a lake whose files were made: by which generator


def upload(s3: Any, bucket: str, files: arrivals.Source) -> list[str]:
    """Brings what the lake lacks of a finite source. Of made files: as many as a first retrain needs, then one by one.

    Returns:
        The names of what was brought.

    Raises:
        StackError: a file is broken (nothing after it is brought), or made files would come among others.
    """
    there = set(contents.names(s3, bucket, RAW))
    if files.is_made:
        require_made(s3, bucket, files, there)
        indices = [len(there)] if there else list(range(arrivals.first_batch(files)))
    else:
        names = takewhile(bool, map(files.name, count()))
        indices = [index for index, name in enumerate(names) if name not in there]
    with TemporaryDirectory() as scratch:
        brought = arrivals.deliver(files, indices, s3, Path(scratch), bucket)
    if brought:
        through = f" … {brought[-1]}, {len(brought)} files" if len(brought) > 1 else ""
        say(f"new in s3://{bucket}/{RAW}: {brought[0]}{through}; the next run of `retrain` takes them")
    else:
        say(f"s3://{bucket}/{RAW} has every file of {files.label}; nothing was brought")
    return brought


def require_made(s3: Any, bucket: str, files: arrivals.Source, there: set[str]) -> None:
    """Made transactions come only among those of the same generator."""
    made_by = (contents.read(s3, bucket, MADE_BY) or {}).get("source")
    if there and made_by != files.label:
        whose = f"made by: {made_by}" if made_by else "which were not made"
        raise StackError(
            f"s3://{bucket}/{RAW} has {len(there)} files, {whose}; to be brought are files made by: {files.label}. "
            f"Name your files, FRAUD_LAKE=<folder or s3://…>{', or the same CUSTOMERS and SEED' * bool(made_by)}."
        )
    contents.write(s3, bucket, MADE_BY, {"source": files.label})
