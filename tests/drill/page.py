"""Makes docs/drill.md of what a drill has kept: python -m tests.drill.page .proofs/drill.jsonl docs/drill.md"""

import sys
from pathlib import Path
from typing import Any

from tests.drill import INPUTS
from tests.drill.cases import CASES, SEVERAL_RUNS
from tests.drill.serving_cases import SERVING
from tests.support import ROOT
from tests.support.kept import KeptFile, digest

EXPECTED = (*(case.name for case in (*CASES, *SERVING)), *SEVERAL_RUNS)
HEAD = """# The drill

What befell runs of `retrain`, `score` and `rollback` and how they ended: real Airflow with its live scheduler, the
unmodified operators, and the cloud's API of one machine. `make drill` makes this page and goes on where it was
interrupted; its runs took {minutes} minutes ({when}). After every case it is asserted

- that no cluster of ours is alive, and that no run ever had two at once;
- that the run is green only if its decision is recorded, the alias moved and the raw file marked as used;
- that the alias of the champion is as decided, or as before;
- that an alert came where the run ended red, and only there;
- of `score`: that in the end every row has one score, none has two, each by the version that served when its run began;
- of `rollback`: that the history is complete and its chain unbroken, with one record of the rollback or none.

The jobs are stand-ins of five seconds ([tests/drill/stand_in](../tests/drill/stand_in)): they go the whole way of a job
(object store, `spark-submit`, Lockbox, MLflow's server) and record a run, a version and a decision to promote, so that
every green run must move the alias. Where it says *real* it is the Spark application itself, for `score` on a small
lake. What Airflow takes five minutes to notice (a worker or a scheduler that has died) it is told to notice in 30 s;
the DAGs' delays are theirs.

{missing}| Case | What was done | Jobs | Run | Cluster deleted by | Champion | Alert | Seconds |
|---|---|---|---|---|---|---|---|
"""
TAIL = """
`create`, `delete`: the task of the run; `sweep`: the DAG that comes by every hour, here right after the run. A run is
red where a job was lost half-way: jobs are not tried twice, since a person should see why; the next run takes the same
files. A backfill finds the same champions as the four weekly runs before it: same days, decisions and metrics.
"""


def line(row: dict[str, Any]) -> str:
    run = "green" if row["state"] == "success" else "**red**"
    alert = "yes" if row["alert"] else "-"
    cells = (
        f"`{row['case']}`",
        row["done"],
        row["jobs"],
        run,
        row["deleted_by"],
        row["champion"],
        alert,
        row["seconds"],
    )
    return "| " + " | ".join(map(str, cells)) + " |\n"


def page(rows: dict[str, dict[str, Any]], when: str) -> str:
    """The page of the rows by their case, and of the days and commits at which they ran; what is missing is named."""
    missing = [f"`{name}`" for name in EXPECTED if name not in rows]
    words = f"**Not proven with the present code:** {', '.join(missing)}. `make drill` goes on with them.\n\n"
    minutes = round(sum(row["seconds"] for row in rows.values()) / 60)
    head = HEAD.format(minutes=minutes, when=when, missing=words if missing else "")
    return head + "".join(line(rows[name]) for name in EXPECTED if name in rows) + TAIL


def main(kept: Path, target: Path) -> None:
    parts = KeptFile(kept, digest(ROOT, INPUTS)).passed().values()
    rows = {case: row for part in parts for case, row in part.row.items()}
    when = ", ".join(sorted({f"{part.date} at {part.commit}" for part in parts}))
    target.write_text(page(rows, when))
    print(f"{target}: {len(rows)} of {len(EXPECTED)} cases")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
