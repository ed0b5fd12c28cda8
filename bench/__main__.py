"""Everything that is measured, side by side, into bench/RESULTS.md: `make bench`.

Each section is a program of its own whose table becomes a section of the file; sections that were not asked for stay.
A section that was measured with the same code and options is not measured again, unless --fresh says so: a run that
ends early goes on where it was.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench import goals
from stack.common.console import say, step
from stack.common.envs import ROOT, ensure, python_of
from stack.common.errors import StackError
from stack.common.java import find_java
from tests.support.kept import KeptFile, digest

RESULTS = ROOT / "bench" / "RESULTS.md"
KEPT = ROOT / ".proofs" / "bench.jsonl"
MADE = ("!bench/RESULTS.md", "!bench/scale/measured.json")
INPUTS = ("bench", *MADE, "simulator", "spark_app", "requirements/stack.txt", "requirements/bench.txt")
RUNS_OF_SCALE = ("bench/scale/job.py", "bench/scale/runs.py", "dags/retraining/executors.py", "simulator", "spark_app")
TITLE = "# What was measured\n\n`make bench` makes this file; see there for how to choose sections.\n"
YEAR = {"customers": 1_000, "terminals": 2_000, "days": 368}  # a year and three days: 0.7 million rows
TWO_YEARS = {"customers": 1_020, "terminals": 2_040, "days": 730}  # as many rows as the sample's
SAMPLE_DAYS = 154  # 22 weeks of 5,000 cards: 1.5 million rows
FULL = {"customers": 808_000, "terminals": 1_616_000, "days": 30}  # one month of the public lake: 47 million rows


@dataclass(frozen=True)
class Bench:
    """Where this run keeps its data, on which image's Python it runs, and with how much memory.

    ``worlds`` are those of the section `decisions`, of which ``fresh`` measures again what is kept; ``full_size`` tells
    the section `scale` whether it has a full-size month, too.
    """

    scratch: Path
    lake: Path | None
    image: str
    memory: str
    worlds: int
    fresh: bool
    full_size: tuple[str, ...] = ()

    def stack(self, module: str, *arguments: object) -> list[str]:
        return [sys.executable, "-m", module, *map(str, arguments)]

    def spark(self, program: str, *arguments: object) -> list[str]:
        """A module, or a script of the Spark application."""
        how = [program] if program.endswith(".py") else ["-m", program]
        return [str(python_of(f"spark-image-{self.image}")), *how, *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        options = f"--master local[*] --driver-memory {self.memory} --conf spark.ui.enabled=false"
        return os.environ | {
            "JAVA_HOME": str(find_java()),
            "PYTHONPATH": f"{ROOT / 'spark_app'}{os.pathsep}{ROOT}",
            "PYSPARK_PYTHON": str(python_of(f"spark-image-{self.image}")),
            "PYSPARK_SUBMIT_ARGS": f"{options} --conf spark.local.dir={self.scratch} pyspark-shell",
        }

    def run(self, command: list[str], progress: bool = False) -> str:
        """Standard output of a command, which is shown as it comes; its log goes to a file, or is shown as progress.

        Raises:
            StackError: it failed; with the end of its log.
        """
        log = self.scratch / "log.txt"
        with open(log, "w") as errors:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=None if progress else errors,
                text=True,
            )
            assert process.stdout
            output = []
            for line in process.stdout:
                print(line, end="", flush=True)
                output.append(line)
        if process.wait():
            end = "\n".join(log.read_text().splitlines()[-15:])
            raise StackError(f"`{' '.join(command[1:3])}` ended with status {process.returncode}:\n{end}")
        return "".join(output)

    def raw(self) -> Path:
        """The lake's weekly files, generated once if none are given."""
        made = self.lake or self.scratch / "raw"
        if not made.exists():
            self.run(self.stack("simulator", "--out", made, "--days", SAMPLE_DAYS))
        return made

    def features(self) -> Path:
        """Features of the lake's rows, made once."""
        made = self.scratch / "features"
        if not made.exists():
            self.run(self.spark("spark_app/features_job.py", "--lake", self.raw(), "--out", made))
        return made


def generator(bench: Bench) -> str:
    return bench.run(bench.stack("bench.generator"))


def features(bench: Bench) -> str:
    return bench.run(bench.spark("bench.features", bench.features()))


def comparison(bench: Bench, rows: Path | None = None, without: tuple[str, ...] = ()) -> str:
    """Ours first: it says what equal is, and how long the others may take."""
    spark, others = python_of(f"spark-image-{bench.image}"), ensure("bench", say)
    plan = {
        engine: {"command": [str(python), "-m", "bench.engines"], "environment": bench.environment}
        for engine, python in (
            *[("ours", spark), ("sliding", spark), ("pandas", spark)],
            *[("polars", others), ("duckdb", others)],
        )
        if engine not in without
    }
    place = bench.scratch / "comparison"
    return bench.run(bench.stack("bench.comparison", rows or bench.features(), place, json.dumps(plan)))


def comparison_full(bench: Bench) -> str:
    """Without pandas, which would need hours for it."""
    lake, made = bench.scratch / "month", bench.scratch / "month-features"
    full_month(bench, lake)
    bench.run(bench.spark("spark_app/features_job.py", "--lake", lake, "--out", made))
    return comparison(bench, made, without=("pandas",))


def words(sizes: dict[str, int]) -> list[object]:
    """Sizes of a generated lake, as its generator takes them."""
    return [word for name, value in sizes.items() for word in (f"--{name}", value)]


def prepare(bench: Bench) -> str:
    years = {bench.scratch / "years" / name: days for name, days in (("weekly", 7), ("daily", 1))}
    for folder, days in years.items():
        bench.run(bench.stack("simulator", "--out", folder, "--days-per-file", days, *words(TWO_YEARS)))
    return bench.run(bench.spark("bench.prepare", bench.raw(), *years, bench.scratch / "prepare"))


def score(bench: Bench) -> str:
    """A year of its own, of fewer cards than the other sections have."""
    raw = bench.scratch / "year"
    bench.run(bench.stack("simulator", "--out", raw, "--days-per-file", 1, *words(YEAR)))
    return bench.run(bench.spark("bench.score", raw, bench.scratch / "score"))


def age(bench: Bench) -> str:
    return bench.run(bench.spark("bench.age", bench.features(), bench.scratch / "age"))


def model(bench: Bench) -> str:
    return bench.run(bench.spark("bench.model", bench.features()))


def tournament(bench: Bench) -> str:
    return bench.run(bench.spark("bench.tournament", bench.features()))


def decisions(bench: Bench) -> str:
    """The worlds that are done are kept by themselves, each for what it depends on."""
    again = ["--fresh"] if bench.fresh else []
    return bench.run(bench.spark("bench.decisions", "--worlds", bench.worlds, *again), progress=True)


def peers(bench: Bench) -> str:
    return bench.run(bench.spark("bench.decisions.peers"), progress=True)


def demo(bench: Bench) -> str:
    return bench.run(bench.stack("bench.demo", bench.scratch / "demo"))


def full_month(bench: Bench, lake: Path) -> str:
    """Makes a lake of one full-size raw file; how long that took, in words."""
    made = bench.run(bench.stack("simulator", "--out", lake / "raw", "--days-per-file", FULL["days"], *words(FULL)))
    return f"Generated in {made.splitlines()[-1]}."


def full(bench: Bench) -> str:
    lake = bench.scratch / "full"
    made = full_month(bench, lake)
    return f"{bench.run(bench.spark('bench.full', lake))}\n{made}\n"


def scale(bench: Bench) -> str:
    """On a YARN of its own; with FULL=1 also one full-size month. The page docs/scale.md is made of it, too.

    Runs that are done are kept one by one: the section takes half an hour, and its largest may fail.
    """
    inputs = (*RUNS_OF_SCALE, f"requirements/spark-image-{bench.image}.txt")
    place = KEPT.parent / f"scale-{digest(ROOT, inputs, bench.image, machine())[:12]}"
    for other in KEPT.parent.glob("scale-*"):
        if bench.fresh or other != place:
            shutil.rmtree(other)
    bench.run(bench.stack("bench.scale.runs", place, "--image", bench.image, *bench.full_size), progress=True)
    python = ensure("spark-image-2.2", say)  # whatever the image: it also reads what the operator's tool says of prices
    return bench.run([str(python), "-m", "bench.scale.report", str(place / "runs")], progress=True)


SECTIONS: dict[str, tuple[str, Callable[[Bench], str]]] = {
    "generator": ("The generator against the handbook's, row by row", generator),
    "features": ("Features against sliding windows and against pandas", features),
    "comparison": ("The handbook's features by five engines", comparison),
    "comparison-full": ("The same of a full-size month", comparison_full),
    "prepare": ("`prepare`, by the number of files", prepare),
    "demo": ("The demo, week by week", demo),
    "score": ("`score`, each day of a year", score),
    "age": ("A retrain when the lake grows older", age),
    "full": ("One full-size file", full),
    "scale": ("On YARN, by the number of hosts and of rows", scale),
    "model": ("The default model on six test weeks of the handbook's data", model),
    "tournament": ("How often the gate promotes", tournament),
    "peers": ("What peers' rules promote, of the same candidates", peers),
    "decisions": ("Decisions and weeks in service, in worlds that know their truth", decisions),
}
DEFAULT = ("generator", "features", "prepare", "score", "age")
NEED_LAKE = ("model", "tournament")  # their weeks are those of the published data


def machine() -> str:
    memory = psutil.virtual_memory().total / 1024**3
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def sections_of(text: str) -> dict[str, str]:
    """Sections of a results file by title, in their order."""
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in text.split("\n## ")[1:]}


def record(title: str, text: str) -> None:
    """Puts a section into the results file, in place of the one before, and says at its top what is reached by now."""
    known = sections_of(RESULTS.read_text()) if RESULTS.exists() else {}
    known[title] = f"\n{text}\n"
    known[goals.TITLE] = f"\n{goals.table(known)}\n"
    order = [goals.TITLE, *(name for name, _ in SECTIONS.values() if name in known)]
    RESULTS.write_text(TITLE + "".join(f"\n## {name}\n{known[name]}" for name in order))


def measure(bench: Bench, name: str, kept: KeptFile) -> None:
    """Measures a section, or takes it from what is kept, into the results file."""
    title, run = SECTIONS[name]
    if part := kept.passed().get(name):
        say(f"{title}: kept, measured on {part.date} with the same code and options; --fresh measures it again")
        record(title, part.row["text"])
        return
    begun = time.monotonic()
    with step(title):
        note = f"{datetime.now(UTC):%Y-%m-%d}, image {bench.image}, {machine()}."
        text = f"{note}\n\n{run(bench).strip()}"
    kept.add(name, time.monotonic() - begun, {"text": text})
    record(title, text)


def chosen(only: str, full_size: bool, lake: Path | None) -> list[str]:
    """Names of the sections to run.

    Raises:
        StackError: there is no such section, or it needs a lake.
    """
    names = only.split() or [*DEFAULT, *(NEED_LAKE if lake else ()), *(["full"] if full_size else ())]
    if unknown := [name for name in names if name not in SECTIONS]:
        raise StackError(f"ONLY names {', '.join(unknown)}; the sections are {', '.join(SECTIONS)}.")
    if not lake and (needy := [name for name in names if name in NEED_LAKE]):
        raise StackError(
            f"{', '.join(needy)}: measured on the handbook's simulated data, 2018-04-01 to 2018-08-31. Give a folder of"
            " its raw files: make bench LAKE=<folder>"
        )
    return names


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help=f"sections, of {', '.join(SECTIONS)}")
    parser.add_argument("--full", action="store_true", help="also one full-size file: half an hour, 40 GB of disk")
    parser.add_argument("--lake", type=Path, help="folder of raw files (default: generated)")
    parser.add_argument("--image", default="2.2", choices=("2.1", "2.2"))
    parser.add_argument("--memory", default="8g", help="of the JVM (default %(default)s)")
    parser.add_argument("--worlds", type=int, default=200, help="of the section `decisions` (default %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured with the same code")
    options = parser.parse_args()
    try:
        names = chosen(options.only, options.full, options.lake)
        ensure(f"spark-image-{options.image}", say)
        inputs = (*INPUTS, f"requirements/spark-image-{options.image}.txt")
        full_size = ("--full",) if options.full else ()
        of_scale = full_size if "scale" in names else ()  # the other sections are the same with and without
        also = (options.image, options.memory, str(options.lake), str(options.worlds), machine(), *of_scale)
        kept = KeptFile(KEPT, digest(ROOT, inputs, *also))
        if options.fresh:
            kept.forget(names)
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            bench = Bench(
                Path(scratch),
                options.lake,
                options.image,
                options.memory,
                options.worlds,
                options.fresh,
                full_size,
            )
            for name in names:
                measure(bench, name, kept)
    except StackError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
