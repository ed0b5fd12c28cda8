"""Where a week of the demo goes: ``python -m bench.demo STATE`` (environment `stack`).

`make demo` in a folder of its own, then further weeks of it; all of it is removed afterwards. Tasks are as Airflow has
them, the steps of the job `train` as its report has them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.local.airflow_api import SCORE, Airflow
from stack.local.state import State
from stack.running.airflow_api import RETRAIN
from stack.running.watching import seconds_of

FURTHER = 3  # weeks after the first cycle
SHOWN = 0.5  # seconds; what takes less is in the whole

Seconds = dict[str, float]


def command(name: str, state: State, *options: object) -> None:
    """Raises StackError with the last lines of a command of ours that failed."""
    line = [sys.executable, "-m", "stack", name, "--state", str(state.folder), *map(str, options)]
    done = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise StackError(f"`{name}` ended with status {done.returncode}:\n{done.stdout[-3000:]}")


def steps(state: State) -> Seconds:
    """Of the job `train`, out of the newest report in the bucket, which has those of `prepare` before them."""
    reports = (path for path in state.folder.rglob("report.json") if path.parent.name != "monitor")
    newest = max(reports, key=lambda path: path.stat().st_mtime)
    found = json.loads(newest.read_text())["steps"]
    return {f"- of it: {each['name']}": each["seconds"] for each in found if each["name"] != "prepare"}


def cycle(state: State) -> Seconds:
    """Seconds of the last cycle by what they went to, in order."""
    last, airflow, found = state.load("last_cycle", {}), Airflow(state), {}
    for dag, run in ((RETRAIN, last["run_id"]), (SCORE, airflow.runs(SCORE)[0]["dag_run_id"])):
        tasks = sorted(
            (task for task in airflow.tasks(run, dag).values() if task["start_date"]), key=lambda t: t["start_date"]
        )
        for task in tasks:
            name = f"{dag}: {task['task_id']}"
            found[name] = seconds_of(task)
            if name == f"{RETRAIN}: cluster.train":
                found |= steps(state)
    rest = last["seconds"] - sum(seconds for name, seconds in found.items() if not name.startswith("-"))
    return {"the whole": last["seconds"], **found, "between tasks": rest}


def main(folder: Path) -> None:
    state, weeks = State(folder), []
    try:
        for count in range(1, FURTHER + 2):
            command("demo", state, "--weeks", count)
            weeks.append(cycle(state))
    finally:
        command("clean", state)
    first, later = weeks[0], weeks[1:]
    print("| what | first cycle, 13 weeks: seconds | a further week: seconds |", "|---|--:|--:|", sep="\n")
    for name in later[-1]:
        week = statistics.median(each.get(name, 0) for each in later)
        if max(week, first.get(name, 0)) >= SHOWN:
            print(f"| {name} | {first.get(name, 0):.1f} | {week:.1f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
