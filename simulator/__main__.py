"""`python -m simulator --out FOLDER`: files of the lake."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path

from rich.progress import Progress

import simulator
from simulator.faults import Faults
from simulator.files import GeneratedFile
from simulator.generator import Generator


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no day; expected YYYY-MM-DD") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=(simulator.__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="folder for the files")
    add("--start", type=_date, default="2018-04-01", metavar="DAY", help="day 0 of the world (%(default)s)")
    add("--first", type=_date, metavar="DAY", help="first day to write (the start)")
    add("--days", type=int, default=91, metavar="N", help="days to write (%(default)s)")
    add("--days-per-file", type=int, default=7, metavar="N", help="days in one file (%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="another seed, another world (%(default)s)")
    add("--customers", type=int, default=5_000, metavar="N", help="each 1.94 rows a day (%(default)s)")
    add("--terminals", type=int, default=10_000, metavar="N", help="usually twice the customers (%(default)s)")
    add("--gzip", action="store_true", help="write .txt.gz, which takes six times as long")
    for fault in fields(Faults):
        flag = f"--fault-{fault.name.replace('_', '-')}"
        add(flag, type=float, default=fault.default, metavar="SHARE", help="of rows with this fault (%(default)s)")
    return parser


def _files(args: argparse.Namespace) -> Iterator[GeneratedFile]:
    faults = Faults(**{fault.name: getattr(args, f"fault_{fault.name}") for fault in fields(Faults)})
    generator = Generator(
        seed=args.seed, customers=args.customers, terminals=args.terminals, start=args.start, faults=faults
    )
    args.out.mkdir(parents=True, exist_ok=True)
    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("days", total=args.days)
        for done in range(0, args.days, args.days_per_file):
            first_day = (args.first or args.start) + timedelta(done)
            days = min(args.days_per_file, args.days - done)
            file = generator.write_file(
                args.out, first_day, days, compress=args.gzip, on_day=lambda _: progress.advance(task)
            )
            line = f"{file.path}  {file.rows:,} rows  {file.frauds:,} frauds"
            progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
            yield file


def main(arguments: list[str] | None = None) -> int:
    """Write what the command line asks for, or end with one line and status 2 (wrong argument) or 1 (disk)."""
    parser = _parser()
    args = parser.parse_args(arguments)
    for option in ("days", "days_per_file"):
        if getattr(args, option) < 1:
            parser.error(f"--{option.replace('_', '-')} is {getattr(args, option)}; expected at least 1")
    began = time.perf_counter()
    try:
        files = list(_files(args))
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.exit(1, f"{parser.prog}: cannot write to {args.out}: {error}\n")
    seconds = time.perf_counter() - began
    rows, frauds = sum(file.rows for file in files), sum(file.frauds for file in files)
    faults: Counter[str] = Counter()
    for file in files:
        faults.update(file.faults)
    print(f"{len(files)} files  {rows:,} rows  {frauds:,} frauds ({frauds / max(rows, 1):.3%})")
    print("faults  " + "  ".join(f"{name} {count:,}" for name, count in faults.items()))
    print(f"{seconds:.1f} s  {rows / seconds:,.0f} rows/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
