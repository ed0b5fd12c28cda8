"""One demo in a folder of its own, driven by `make` as a person does, and the files that arrive in its lake."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from simulator import Faults, Generator
from stack.common.envs import ROOT
from stack.local.state import State
from tests.drill.stack import SCHEDULE
from tests.support.processes import as_typed
from tests.support.running_stack import RunningStack

START = date(2018, 4, 1)
# Days of each file. Thirteen weeks fill the windows of the first cycle, the last file is the second's news. Files of
# several weeks since every file costs a job some seconds, whatever its size.
DAYS = (28, 28, 28, 7, 7)
WIDTH = 120
MANY_FAULTS = Faults(
    transaction_id=2e-4, tx_datetime=2e-4, customer_id=2e-4, terminal_id=1e-3, tx_amount=5e-4, tx_time_days=2e-4
)


@dataclass
class Demo(RunningStack):
    """The demo and what was injected into each of its files."""

    lake: Path = field(kw_only=True)
    generator: Generator = field(kw_only=True)
    faults: list[dict[str, int]] = field(default_factory=list)

    def make(self, target: str, **variables: object) -> subprocess.CompletedProcess[str]:
        words = [f"{key}={value}" for key, value in {"STATE": self.state.folder, **variables}.items()]
        typed = as_typed() | {"COLUMNS": str(WIDTH)}  # of the terminal
        return subprocess.run(
            ["make", target, *words], cwd=ROOT, env=typed, capture_output=True, text=True, timeout=2 * 3600
        )

    def write(self, days: int) -> None:
        """One more file, of so many days after the last ones, in the folder that the demo takes its data from."""
        place = len(self.faults)
        covered = sum(DAYS[:place]) + 7 * max(0, place - len(DAYS))
        made = self.generator.write_file(self.lake, START + timedelta(days=covered), days, compress=place % 2 == 0)
        self.faults.append(made.faults)

    def demo(self, weeks: int, **variables: object) -> subprocess.CompletedProcess[str]:
        """`make demo`; of its own the DAG runs once, so that no other run comes between those of the tests."""
        return self.make("demo", WEEKS=weeks, FRAUD_LAKE=self.lake, SCHEDULE=SCHEDULE, FORCE=1, **variables)

    def objects(self, bucket: str, prefix: str) -> dict[str, Any]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {item["Key"]: item for page in pages for item in page.get("Contents", ())}

    def read(self, key: str) -> Any:
        return json.loads(self.s3.get_object(Bucket="lake", Key=key)["Body"].read())

    def last(self) -> dict[str, Any]:
        """What the demo keeps of its last cycle."""
        return self.state.load("last_cycle", {})

    def names_alive(self) -> list[str]:
        return [cluster.name for cluster in self.clusters_alive()]


@contextmanager
def new_demo() -> Iterator[Demo]:
    """A demo that has not begun; stopped and removed in the end. KEEP_STATE=<folder> keeps a copy to look at."""
    folder = Path(tempfile.mkdtemp(prefix="demo-"))  # short, since a Unix socket lies in it
    generator = Generator(seed=7, customers=1500, terminals=3000, start=START, faults=MANY_FAULTS)
    demo = Demo(State(folder / "state"), lake=folder / "lake", generator=generator)
    demo.lake.mkdir()
    for days in DAYS:
        demo.write(days)
    try:
        yield demo
    finally:
        demo.make("demo-stop")
        if keep := os.environ.get("KEEP_STATE"):
            shutil.copytree(folder, keep, dirs_exist_ok=True)
        shutil.rmtree(folder)
