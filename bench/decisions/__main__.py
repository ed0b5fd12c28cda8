"""How often the gate errs, what it finds, and what retraining is worth: ``python -m bench.decisions`` (`make bench`).

Hundreds of independent worlds, each of them a part that is kept: a run that ends early goes on where it was. Run with
``PYTHONPATH=spark_app`` in the environment of an image. Progress goes to standard error, the tables to standard output,
the plots to docs/img.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bench.decisions import parts, report
from bench.decisions.plan import INPUTS, plan, run
from stack.common.envs import ROOT
from tests.support.kept import KeptFile, digest

KEPT = ROOT / ".proofs" / "decisions.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.decisions", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=200, help="stationary worlds with decisions (%(default)s)")
    parser.add_argument("--service", type=int, help="worlds of each kind in service (a sixteenth of them)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="side by side (%(default)s)")
    parser.add_argument("--customers", type=int, default=parts.Size.customers, help="cards of a world (%(default)s)")
    parser.add_argument("--kept", type=Path, default=KEPT, help="file of the worlds that are done (%(default)s)")
    parser.add_argument("--plots", type=Path, default=ROOT / "docs" / "img", help="folder of the plots (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="measure again what is kept")
    parser.add_argument("--only-report", action="store_true", help="of the worlds that are done, measure none")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # a process a core
    size = parts.Size(options.customers)
    kept = KeptFile(options.kept, digest(ROOT, INPUTS, repr(size)))
    if options.fresh:
        kept.forget(kept.passed())
    if not options.only_report:
        service = max(1, options.worlds // 16) if options.service is None else options.service
        run(plan(options.worlds, service), size, kept, options.processes)
    print(report.tell(kept.passed(), size, options.plots))


if __name__ == "__main__":
    main()
