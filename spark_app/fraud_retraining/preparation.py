"""Raw files to clean, partitioned Parquet: all that is to be done in one pass, each file replaced as a whole.

What a lake holds afterwards depends on its raw files alone, not on the order in which they came or the runs that took
them: of two rows with one id that of the earlier file stays, and a file whose rows depended on one that was corrected
is prepared again.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fraud_retraining import days, duplicates, intake, publishing, quality
from fraud_retraining.duplicates import Duplicates
from fraud_retraining.errors import BrokenFileError, QualityError, RetrainingError
from fraud_retraining.intake import Raw
from fraud_retraining.jobs import log, step
from fraud_retraining.lake import RAW_FORM, FileInfo, Files, Lake, Manifest, at_once
from fraud_retraining.survey import Batch, survey

EXAMPLES = 3  # rows that a refusal shows
BLANK = r"^\s*$"
LARGE = 64 << 20  # bytes of a packed file, four million rows: work on fewer is done before a shuffle pays

Refused = Dict[str, RetrainingError]


@dataclass(frozen=True)
class Limits:
    """What is asked of a raw file's rows: settings of a deployment.

    ``max_quarantine`` is the largest share that may break rules, ``refunds`` says whether an amount may be negative,
    ``late_days`` how much older than its file's first day a row may be.
    """

    max_quarantine: float = 0.01
    refunds: bool = False
    late_days: int = days.LATE_DAYS

    @property
    def rules(self) -> Mapping[str, str]:
        return quality.WITH_REFUNDS if self.refunds else quality.RULES


def prepare(
    lake: Lake, run_id: str, max_quarantine: float = 0.01, refunds: bool = False, late_days: int = days.LATE_DAYS
) -> Dict[str, Any]:
    """Prepare every raw file that is new or has changed, and write ``runs/<run_id>/prepare.json``.

    Args:
        max_quarantine, refunds, late_days: see ``Limits``.

    Returns:
        The content of ``prepare.json``.

    Raises:
        BrokenFileError, QualityError: these files are named; all others are prepared.
    """
    started = time.monotonic()
    limits = Limits(max_quarantine, refunds, late_days)
    manifests = lake.manifests()
    manifests.update(publishing.finish(lake, manifests))
    found = intake.take(lake)
    refused: Refused = dict(found.refused)
    log.info("%d raw files in %s", len(found.files), lake.files.root)
    if not (found.files or refused or manifests):
        raise RetrainingError(f"{lake.files.path('raw')} holds no raw file (expected {RAW_FORM}); check --lake")
    while True:
        wanted = intake.outdated([raw for raw in found.files if raw.name not in refused], manifests)
        if not wanted:
            break
        for name, why in wanted.items():
            log.info("%s: %s", name, why)
        with step(f"prepare {len(wanted)} files") as say:
            chosen = [raw for raw in found.files if raw.name in wanted]
            done = one_pass(lake, chosen, manifests, run_id, limits, refused)
            bad = sum(sum(manifest["quarantined"].values()) for manifest in done)
            say(f"{sum(manifest['rows'] for manifest in done)} rows, {bad} to quarantine")
        manifests.update({manifest["file"]: manifest for manifest in done})
    report = summary(run_id, manifests, round(time.monotonic() - started, 1))
    if refused:
        raise together(refused, len(report["files"]))
    lake.files.write_json(f"runs/{run_id}/prepare.json", report, replace=True)
    return report


def summary(run_id: str, manifests: Mapping[str, Manifest], seconds: float) -> Dict[str, Any]:
    """Totals over the files of one run."""
    done = [manifests[name] for name in sorted(manifests) if manifests[name]["run_id"] == run_id]
    return {
        "run_id": run_id,
        "files": [manifest["file"] for manifest in done],
        "corrected": {manifest["file"]: manifest["corrected"] for manifest in done if manifest.get("corrected")},
        "rows": sum(manifest["rows"] for manifest in done),
        "prepared": sum(manifest["prepared"] for manifest in done),
        "quarantined": {
            rule: total
            for rule in quality.RULE_NAMES
            for total in [sum(manifest["quarantined"].get(rule, 0) for manifest in done)]
            if total
        },
        "unlabelled": sum(sum(manifest.get("unlabelled", {}).values()) for manifest in done),
        "first_day": min((manifest["first_day"] for manifest in done if manifest["parts"]), default=None),
        "last_day": max((manifest["last_day"] for manifest in done if manifest["parts"]), default=None),
        "seconds": seconds,
    }


def together(refused: Refused, prepared: int) -> RetrainingError:
    """One error about all refused files, of the first one's kind; it says that the others are done."""
    errors = [refused[name] for name in sorted(refused)]
    return type(errors[0])(f"{'; '.join(map(str, errors))}; every other file is prepared ({prepared} by this run)")


def one_pass(
    lake: Lake,
    files: Sequence[Raw],
    manifests: Mapping[str, Manifest],
    run_id: str,
    limits: Limits,
    refused: Refused,
) -> List[Manifest]:
    """Check, clean and publish raw files; return their manifests, and add those that cannot be to ``refused``."""
    headers = headers_of(lake.files, files, refused)
    files = [raw for raw in files if raw.name in headers]
    if not files:
        return []
    try:
        with parsed(lake.files, files, headers.values(), limits) as batch:
            batch, same = set_known_aside(lake, batch, manifests)
            return same + publish(lake, batch, manifests, run_id, limits, refused)
    except Py4JJavaError:
        broken = {raw.name: why for raw in files for why in [why_unreadable(lake.files, raw.info)] if why}
        if not broken:
            raise
        refused.update(broken)
        return one_pass(lake, [raw for raw in files if raw.name not in broken], manifests, run_id, limits, refused)


def headers_of(files: Files, chosen: Sequence[Raw], refused: Refused) -> Dict[str, str]:
    """The header of each file by name; those whose first line is none go to ``refused``."""
    headers = dict(zip((raw.name for raw in chosen), at_once(lambda raw: header_or_error(files, raw.info), chosen)))
    refused.update({name: header for name, header in headers.items() if isinstance(header, RetrainingError)})
    return {name: header for name, header in headers.items() if name not in refused}


@contextmanager
def parsed(files: Files, chosen: Sequence[Raw], headers: Iterable[str], limits: Limits) -> Iterator[Batch]:
    """The batch of these files, read and surveyed."""
    rows = parse(files, [raw.info for raw in chosen], headers, limits.rules).persist()
    try:
        surveys = survey(rows, chosen, limits.late_days)
        for number, raw in enumerate(chosen):
            if not surveys[number].rows and files.head(raw.info, 65536).strip().count(b"\n"):
                raise RetrainingError(f"{raw.info.path} has rows and none was read; this is a defect, please report it")
        yield Batch(dict(enumerate(chosen)), rows, surveys)
    finally:
        rows.unpersist()


def header_or_error(files: Files, info: FileInfo) -> Any:
    try:
        return intake.read_header(files, info)
    except RetrainingError as error:
        return error


def parse(files: Files, found: Sequence[FileInfo], headers: Iterable[str], rules: Mapping[str, str]) -> DataFrame:
    """Typed rows of raw files, with ``number``; without their headers and blank lines, which are no rows."""
    lines = spread(files.text(found), found)
    # A line that begins with a digit is neither, and no expression has to go over its text.
    is_row = ~F.col("value").isin(sorted(set(headers))) & ~F.col("value").rlike(BLANK)
    return quality.parse(lines.where(F.ascii("value").between(*map(ord, "09")) | is_row), rules)


def spread(lines: DataFrame, found: Sequence[FileInfo]) -> DataFrame:
    """The lines of files of which a packed one is more than a slot's share of all, in even parts.

    Only one task can read a packed file; without this it would do the file's whole work.
    """
    slots = lines.sparkSession.sparkContext.defaultParallelism
    largest = max((info.size for info in found if info.name.endswith(".gz")), default=0)
    if largest < LARGE or largest * slots <= sum(info.size for info in found):
        return lines
    return lines.repartition(4 * slots, "value")


def why_unreadable(files: Files, info: FileInfo) -> Optional[BrokenFileError]:
    """Read one file by itself to its end; None if that works."""
    try:
        files.text([info]).agg(F.count("value")).collect()
    except Py4JJavaError as error:
        return intake.unreadable(info, error)
    return None


def set_known_aside(lake: Lake, batch: Batch, manifests: Mapping[str, Manifest]) -> Tuple[Batch, List[Manifest]]:
    """Take out files that came again with the rows that they had; their manifests get the new fingerprint."""
    same = {}
    for number, raw in batch.files.items():
        if intake.has_same_rows(raw, batch.surveys[number].content, manifests):
            log.info("%s: the same rows as before", raw.name)
            same[number] = {**manifests[raw.name], "fingerprint": raw.fingerprint, "size": raw.info.size}
    for manifest in same.values():
        lake.files.write_json(f"manifest/{manifest['file']}.json", manifest, replace=True)
    return batch.without(list(same)), list(same.values())


def publish(
    lake: Lake, batch: Batch, manifests: Mapping[str, Manifest], run_id: str, limits: Limits, refused: Refused
) -> List[Manifest]:
    """Write the rows of all files of which not too many are bad; the others go to ``refused``."""
    batch = without_bad(lake.files, batch, Duplicates(), limits, refused)
    while batch.files:
        found = duplicates.find(lake.files, batch.good_or_bad(), batch.names, others(batch, manifests))
        try:
            left = without_bad(lake.files, batch, found, limits, refused)
            if len(left.files) == len(batch.files):
                rows = found.flag(batch.good_or_bad())
                return publishing.publish(lake, rows, batch, sum(found.counts.values()), manifests, run_id)
        finally:
            found.forget()
        batch = left  # what was a duplicate of a row that is refused now is none
    return []


def others(batch: Batch, manifests: Mapping[str, Manifest]) -> List[Manifest]:
    """Manifests of files outside the batch that a row of the batch may be a duplicate of."""
    inside = set(batch.names.values())
    outside = [manifest for name, manifest in manifests.items() if name not in inside]
    found = {
        manifest["file"]: manifest
        for number, raw in batch.files.items()
        for manifest in intake.meeting(raw.name, batch.surveys[number].ids, outside)
    }
    return list(found.values())


def without_bad(files: Files, batch: Batch, found: Duplicates, limits: Limits, refused: Refused) -> Batch:
    """The batch without the files too many of whose rows broke rules."""
    bad = []
    for number, raw in batch.files.items():
        facts = batch.surveys[number]
        broken = {**facts.quarantined, quality.DUPLICATE: found.counts.get(number, 0)}
        if sum(broken.values()) > limits.max_quarantine * facts.rows:
            worst = max(broken, key=lambda rule: broken[rule])
            rows = found.judged if found.judged is not None and worst == quality.DUPLICATE else batch.good_or_bad()
            shown = examples(files, raw.info, rows.where((F.col("number") == number) & (F.col("rule") == worst)))
            refused[raw.name] = refusal(raw.info, broken, facts.rows, limits, shown)
            bad.append(number)
    return batch.without(bad)


def examples(files: Files, info: FileInfo, broken: DataFrame) -> List[str]:
    """Some bad rows of a file, each with the number of its line."""
    texts = [row["line"] for row in broken.select("line").limit(EXAMPLES).collect()]
    numbers = files.line_numbers(info, texts)
    return [f"line {numbers[text]}: {text[:200]!r}" for text in sorted(set(texts), key=lambda text: numbers[text])]


def refusal(info: FileInfo, broken: Mapping[str, int], rows: int, limits: Limits, shown: Sequence[str]) -> QualityError:
    """What is wrong with a file, rows that show it, and what a person can do."""
    bad, worst = sum(broken.values()), max(broken, key=lambda rule: broken[rule])
    mend = f"mend the file, or raise quality.max_quarantine (--max-quarantine, now {limits.max_quarantine})"
    if worst == "tx_amount" and not limits.refunds:
        mend += "; if negative amounts are refunds here, set quality.refunds (--refunds)"
    if worst == quality.PERIOD:
        mend += f"; if rows come that late, raise quality.late_days (--late-days, now {limits.late_days})"
    return QualityError(
        f"{info.path}: {bad} of {rows} rows ({bad / rows:.2%}) broke quality rules, allowed are"
        f" {limits.max_quarantine:.2%}; most of them rule '{worst}' ({broken[worst]} rows; the rule:"
        f" {quality.MEANINGS[worst]}), for example {', '.join(shown)}; {mend}"
    )
