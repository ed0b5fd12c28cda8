"""What there is to prepare: raw files that are new, corrected, or whose result another file's change has outdated."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Dict, Iterable, List, Mapping, Optional, Union

from py4j.protocol import Py4JJavaError

from fraud_retraining import quality
from fraud_retraining.errors import BrokenFileError, RetrainingError
from fraud_retraining.jobs import log
from fraud_retraining.lake import FileInfo, Files, Lake, Manifest, at_once, not_raw, sort_out

CHANGED = "its content has changed"
FORM = 3  # of the manifests and the rules; a file that was prepared in another form is prepared again


@dataclass(frozen=True)
class Raw:
    """A raw file: what changes with its content, and the day before which its rows end.

    ``before`` is the first day of the next file, of the newest file the day after today: nothing happens tomorrow.
    """

    info: FileInfo
    fingerprint: str
    before: date

    @property
    def name(self) -> str:
        return self.info.name


@dataclass(frozen=True)
class Intake:
    """What lies in ``raw/``: the files in the order of time, and errors by name."""

    files: List[Raw]
    refused: Dict[str, RetrainingError]


def take(lake: Lake) -> Intake:
    """Every raw file with its fingerprint."""
    found, strange = sort_out(lake.files.list("raw"))
    for name in lake.files.hidden("raw"):
        log.warning("%s is left alone: a name that begins with '.' or '_' is hidden", lake.files.path(f"raw/{name}"))
    refused: Dict[str, RetrainingError] = {info.name: BrokenFileError(not_raw([info])) for info in strange}
    files = []
    fingerprints = at_once(lambda info: fingerprint_or_error(lake.files, info), found)
    for info, fingerprint, before in zip(found, fingerprints, ends([info.first_day for info in found])):
        if isinstance(fingerprint, RetrainingError):
            refused[info.name] = fingerprint
        else:
            files.append(Raw(info, fingerprint, before))
    return Intake(files, refused)


def fingerprint_or_error(files: Files, info: FileInfo) -> Union[str, RetrainingError]:
    try:
        return files.fingerprint(info)
    except Py4JJavaError as error:
        return unreadable(info, error)


def ends(first_days: List[date]) -> List[date]:
    """For each file the day before which it ends, by the first days of all, sorted."""
    tomorrow = datetime.now(timezone.utc).date() + timedelta(1)
    later = sorted({*first_days, tomorrow})
    return [min(later[bisect_right(later, first) :][:1] + [tomorrow]) for first in first_days]


def outdated(files: List[Raw], manifests: Mapping[str, Manifest]) -> Dict[str, str]:
    """Why each file is to be prepared, by name, in the order of time; what is up to date is not there."""
    reasons = {raw.name: reason(raw, manifests) for raw in files}
    return {name: found for name, found in reasons.items() if found}


def reason(raw: Raw, manifests: Mapping[str, Manifest]) -> Optional[str]:
    """Why a file is to be prepared; None if its manifest holds."""
    manifest = manifests.get(raw.name)
    if manifest is None:
        return "new"
    if manifest.get("form") != FORM:
        return "prepared by an earlier version"
    if manifest["fingerprint"] != raw.fingerprint:
        return CHANGED
    if manifest["last_day"] and manifest["last_day"] >= raw.before.isoformat():
        return f"a later file begins on {raw.before}"
    if manifest["earlier"] != digests(meeting(raw.name, manifest["seen"], manifests.values())):
        return "an earlier file with such ids has changed"
    return None


def has_same_rows(raw: Raw, content: List[int], manifests: Mapping[str, Manifest]) -> bool:
    """Whether a file whose bytes have changed has the rows that it had, so that its manifest holds all the same."""
    old = manifests.get(raw.name, {})
    return old.get("content") == content and reason(replace(raw, fingerprint=old["fingerprint"]), manifests) is None


def meeting(name: str, ids: Optional[List[int]], manifests: Iterable[Manifest]) -> List[Manifest]:
    """Manifests of earlier files whose range of ids meets ``ids``: what a file's duplicates depend on."""
    return [other for other in manifests if other["file"] < name and overlap(other["ids"], ids)]


def digests(manifests: Iterable[Manifest]) -> Dict[str, str]:
    """What changes with the ids that were prepared from each file."""
    return {manifest["file"]: manifest.get("ids_digest", "") for manifest in manifests}


def overlap(one: Optional[List[int]], other: Optional[List[int]]) -> bool:
    """Whether two closed ranges meet; an empty range (None) meets nothing."""
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]


def read_header(files: Files, info: FileInfo) -> str:
    """First line of the file as Spark reads it.

    Raises:
        BrokenFileError: it is not the header of the lake's nine columns.
    """
    try:
        line = files.first_line(info).decode("utf-8").lstrip("\ufeff").rstrip("\r\n")
    except Py4JJavaError as error:
        raise unreadable(info, error) from error
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"{info.path} is not text ({error}); expected comma-separated lines") from error
    if quality.header_names(line) != quality.HEADER_NAMES:
        raise BrokenFileError(
            f"{info.path} begins with {line[:200]!r}; expected the header"
            f" '# {' | '.join(quality.HEADER_NAMES)}'; upload the file again or take it out of raw/"
        )
    return line


def unreadable(info: FileInfo, error: Py4JJavaError) -> BrokenFileError:
    """What a person can do about a file that the store or its codec refuses."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    words = str(cause.toString()).splitlines()[0]
    mend = "upload the file again"
    if "ChecksumException" in words:
        mend = f"delete .{info.name}.crc beside it: Hadoop's checksum of an earlier content"
    return BrokenFileError(f"{info.path} cannot be read: {words}; {mend}")
