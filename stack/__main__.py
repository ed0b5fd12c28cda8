"""`python -m stack COMMAND`: what the Makefile calls."""

import argparse
import errno
import os
import sys
from pathlib import Path
from typing import Any

from dags.retraining.settings import DEFAULTS
from stack.cloud import bootstrap, cost, destroy
from stack.cloud.site import Site
from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.local import demo, preflight
from stack.local.arrivals import PUBLIC_STORAGE
from stack.local.state import State


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="stack", description=__doc__)
    commands = main.add_subparsers(dest="command", required=True)
    for name, text in {
        "demo": "run the whole system until WEEKS cycles are done",
        "stop": "stop everything; state stays",
        "clean": "stop everything and remove its state",
        "status": "say what runs, which clusters are alive and what they cost",
        "doctor": "check this machine",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=Path, default=Path(".demo"), help="folder of all state (default .demo)")
        if name in ("demo", "doctor"):
            command.add_argument("--image", default="2.2", choices=("2.1", "2.2"), help="Dataproc image to stand for")
        if name == "demo":
            command.add_argument("--weeks", type=int, default=1, help="cycles to be done in all (default 1)")
            command.add_argument("--port", type=int, help="first of seven ports (default: the first free ones)")
            command.add_argument("--lake", help="folder or s3:// address of data files (default: generated)")
            command.add_argument("--lake-endpoint", default=PUBLIC_STORAGE, help="storage service of an s3:// lake")
            command.add_argument("--customers", type=int, default=5000, help="cards to generate (default 5000)")
            command.add_argument("--seed", type=int, default=0, help="of the generated data (default 0)")
            command.add_argument("--schedule", default="*/15 * * * *", help="cron expression of the DAG, UTC")
            command.add_argument("--force", action="store_true", help="go on where memory is short")
    for name, text in {
        "bootstrap": "make the whole system in the cloud, or bring it up to date",
        "destroy": "remove all of it, and say what is left",
        "cost": "say what it costs per month and per retrain",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=Path, default=Path(".cloud"), help="folder of its state (default .cloud)")
        command.add_argument("--project", type=Path, default=ROOT, help="folder with terraform/, site.yml, inventory/")
        if name == "cost":
            command.add_argument("--minutes", type=float, default=cost.MINUTES, help="a retrain takes in the cloud")
            command.add_argument("--runs", type=float, default=cost.RUNS, help="retrains in a month")
        else:
            command.add_argument("--yes", action="store_true", help="ask nothing")
        if name == "bootstrap":
            command.add_argument("--schedule", default=DEFAULTS["schedule"], help="cron expression of the DAG, UTC")
            command.add_argument("--force", action="store_true", help="do the steps that are done already, too")
    return main


def in_the_cloud(command: str, options: dict[str, Any]) -> None:
    folder, project = options.pop("state"), options.pop("project").resolve()
    site = Site(folder, project, options.pop("force", False))
    if command == "bootstrap":
        bootstrap.bootstrap(bootstrap.Options(site, **options))
    elif command == "destroy":
        destroy.destroy(site, options["yes"])
    else:
        cost.show(site, options["minutes"], options["runs"])


def main() -> int:
    options = vars(parser().parse_args())
    command, state = options.pop("command"), options["state"].expanduser().absolute()
    try:
        if command in ("bootstrap", "destroy", "cost"):
            in_the_cloud(command, options | {"state": state})
        elif command == "demo":
            if options["weeks"] < 1:
                raise StackError(f"WEEKS={options['weeks']}: a number from 1 on is expected, e.g. `make demo WEEKS=2`.")
            demo.demo(demo.Options(**options | {"state": state}))
        elif command == "doctor":
            return 0 if preflight.doctor(state, options["image"]) else 1
        else:
            {"stop": demo.stop, "clean": demo.clean, "status": demo.status}[command](State(state))
    except StackError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        print(f"\nThe disk of {state} is full. Make room, then run the command again; it resumes.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if command in ("bootstrap", "destroy"):
            print("\nInterrupted. The same command goes on from here.")
        else:
            print("\nInterrupted. What was started runs on; the same command resumes, `make demo-stop` ends it.")
        return 130
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
