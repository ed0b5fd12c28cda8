"""Tables, page and plot of what was measured: ``python -m bench.scale.report [RUNS]`` (``PYTHONPATH=spark_app``).

With the folder of the runs they are read into `measured.json` first; without, page and plot are made of that file.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from bench.scale import cost, plan, plots
from bench.scale.events import HEAVY
from bench.scale.measured import (
    FILE,
    WITHIN,
    Measured,
    driver_faults,
    fitted,
    from_json,
    load,
    predictions,
    to_json,
)
from bench.scale.sizes import FULL, SMALL
from stack.common.envs import ROOT

PAGE, PICTURE = ROOT / "docs" / "scale.md", ROOT / "docs" / "img" / "scale.png"


def about(note: str) -> dict[str, str]:
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    cores = str(os.cpu_count())
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit or "unknown", "cores": cores, "note": note}


def series(runs: Sequence[Measured]) -> list[Measured]:
    """Runs of the same rows and settings, by hosts."""
    same = [one for one in runs if one.run["hosts"] and one.run["fit"] and one.run["fraction"] == 0.6]
    return sorted(same, key=lambda one: int(one.run["hosts"]))


def pairs(runs: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """Each run with at least four times the rows of one on as many hosts, whose driver it is compared with."""
    calm = [one for one in runs if one.run["fraction"] == 0.6]
    least = {one.run["hosts"]: one for one in sorted(calm, key=lambda one: -int(one.said["rows"]))}
    return [
        (least[one.run["hosts"]], one) for one in calm if one.said["rows"] > 3.9 * least[one.run["hosts"]].said["rows"]
    ]


def verdict(runs: Sequence[Measured]) -> list[str]:
    """Everything that is not as it should be, in words."""
    found = [f"{one.name}: {fault}" for one in runs for fault in one.faults]
    found += [f"{large.name}: {fault}" for small, large in pairs(runs) for fault in driver_faults(small, large)]
    for each in totals(predictions(runs)):
        if abs(each["off"]) > WITHIN:
            found.append(
                f"{each['run']}: predicted {each['predicted']:.0f} s of a core, {each['measured']:.0f} measured"
            )
    return found


def totals(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Predictions of each run in sum."""
    sums: dict[str, dict[str, Any]] = {}
    for one in found:
        each = sums.setdefault(one.run, {"run": one.run, "predicted": 0.0, "measured": 0.0})
        each["predicted"] += one.predicted
        each["measured"] += one.measured
    return [{**each, "off": each["predicted"] / each["measured"] - 1} for each in sums.values()]


def facts(known: dict[str, str], runs: Sequence[Measured]) -> dict[str, Any]:
    """What the page is made of."""
    model, works = fitted(runs)
    ran = series(runs)
    fit = [one for one in runs if one.run["fit"]]
    calm = [one for one in fit if one.run["train"] and one.run["fraction"] == 0.6]
    two = ran[min(1, len(ran) - 1)] if ran else max(calm, key=lambda one: int(one.said["rows"]))
    frauds = two.said["train_frauds"] / two.said["train_rows"]
    retrains = [plan.retrain(model, works, hosts, frauds) for hosts in plan.HOSTS]
    default = next(one for one in retrains if one.hosts == 2)
    return {
        "about": known,
        "runs": runs,
        "series": ran,
        "two": two,
        "compared": list({one.name: one for pair in pairs(runs) for one in pair}.values()),
        "missing": [one.name for one in (*SMALL, FULL) if one.name not in {each.name for each in runs}],
        "full": [one for one in runs if one.said["rows"] > 0.9 * plan.MONTH],
        "model": model,
        "largest": max(one.said["rows"] for one in fit),
        "predictions": predictions(runs),
        "totals": totals(predictions(runs)),
        "verdict": verdict(runs),
        "retrains": retrains,
        "default": default,
        "limits": plan.limits(default, max(one.said["kept_bytes"] / one.said["kept_rows"] for one in calm)),
        "minute": plan.hour(default.hosts) / 60,
        "plan": plan,
        "waiting": plan.waiting(works),
        "share": HEAVY,
        "gib": cost.GIB,
        "within": WITHIN,
    }


def page(known: dict[str, str], runs: Sequence[Measured]) -> str:
    """The text of docs/scale.md."""
    places = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=places,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.md.j2").render(facts(known, runs))


def table(runs: Sequence[Measured]) -> str:
    """Steps of each run, for bench/RESULTS.md."""
    lines = [
        "| run | step | rows | seconds | core | tasks | shuffled, MiB | spilled, MiB | to the driver, MiB |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for run in runs:
        for one in run.works:
            took = run.said["steps"][one.step]["seconds"]
            cells = [f"{one.rows:,}", f"{took:.1f}", f"{one.seconds:.1f}", str(one.tasks)]
            cells += [f"{size / (1 << 20):,.1f}" for size in (one.shuffled, one.spilled, one.result)]
            lines.append(f"| {run.name} | {one.step} | {' | '.join(cells)} |")
    lines += ["", "Seconds of a core, of runs that the cost model was not fitted on", ""]
    lines += ["| run | step | rows | predicted | measured | off |", "|---|---|--:|--:|--:|--:|"]
    for each in predictions(runs):
        cells = [f"{each.rows:,}", f"{each.predicted:.1f}", f"{each.measured:.1f}", f"{each.off:+.0%}"]
        lines.append(f"| {each.run} | {each.step} | {' | '.join(cells)} |")
    for each in totals(predictions(runs)):
        cells = [f"{each['predicted']:.1f}", f"{each['measured']:.1f}", f"{each['off']:+.0%}"]
        lines.append(f"| {each['run']} | all steps | | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.scale.report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="?", help="folder of the runs (default: what was measured last)")
    parser.add_argument("--note", default="", help="a sentence about how these runs were made")
    options = parser.parse_args()
    if options.runs:
        FILE.write_text(to_json(about(options.note), load(options.runs)))
    known, runs = from_json(FILE.read_text())
    PAGE.write_text(page(known, runs))
    plots.scale(runs, series(runs)).savefig(PICTURE, dpi=110)
    print(table(runs))
    if found := verdict(runs):
        print("\n".join(found), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
