"""machine-status [--check]: the state of this machine as JSON; with --check what is wrong and untold, and status 1.

Jobs (when each last succeeded and failed), certificates, disks, units that have failed, and in `problems` whatever of
it needs a person. Anybody on the machine may ask; only --check writes, when it sees a job for the first time.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory import Memory, recall, remember

SETTINGS = Path(os.environ.get("MONITORING_SETTINGS", "/etc/monitoring/settings.json"))
CERTIFICATES = Path(os.environ.get("MONITORING_CERTIFICATES", "/etc/certificates"))
SELF = "monitoring-check.service"


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


def iso(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


def jobs(wanted: dict[str, float]) -> dict[str, float]:
    """Those of the jobs that a timer of this machine starts: unit -> hours within which it is to succeed."""
    return {
        unit: hours for unit, hours in wanted.items() if said("systemctl", "show", "-P", "TriggeredBy", unit).strip()
    }


def job(unit: str, hours: float, now: float, known: Memory) -> dict[str, Any]:
    succeeded, failed = known.get("succeeded"), known.get("failed")
    late = now - (succeeded or known.get("since", now)) > hours * 3600
    bad = bool(failed and failed > (succeeded or 0))
    found = {"succeeded": iso(succeeded), "failed": iso(failed), "late": late, "works": not (bad or late)}
    return found | ({"why": known.get("why") or "it wrote nothing"} if bad else {})


def certificates() -> dict[str, dict[str, Any]]:
    found = {}
    for file in sorted(CERTIFICATES.glob("*/server.crt")):
        line = said("openssl", "x509", "-in", str(file), "-noout", "-enddate").strip()
        if line:
            until = datetime.strptime(line.partition("=")[2], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
            found[file.parent.name] = {"until": iso(until.timestamp()), "days": (until - datetime.now(UTC)).days}
    return found


def disks(paths: list[str]) -> dict[str, dict[str, Any]]:
    """Each file system once, under the first path that lies on it."""
    found, seen = {}, set()
    for path in paths:
        if os.path.exists(path) and (device := os.stat(path).st_dev) not in seen:
            seen.add(device)
            usage = shutil.disk_usage(path)
            free = usage.free / 2**30
            found[path] = {"percent": round(100 - 100 * usage.free / usage.total), "free_gib": round(free, 1)}
    return found


def failed_units() -> list[str]:
    lines = said("systemctl", "list-units", "--state=failed", "--plain", "--no-legend").splitlines()
    return [unit for unit in (line.split()[0] for line in lines if line) if unit != SELF]


def problems(status: dict[str, Any], settings: dict[str, Any]) -> list[tuple[str, str]]:
    """(unit or empty, what is wrong with it) of all that needs a person."""
    found = []
    for unit, each in status["jobs"].items():
        if "why" in each:
            found.append((unit, f"{unit} failed at {each['failed']}: {each['why'].splitlines()[-1]}"))
        elif each["late"]:
            hours, last = settings["jobs"][unit], each["succeeded"] or "never"
            found.append(("", f"{unit} succeeded last: {last}; expected is once in {hours} hours"))
    for name, each in status["certificates"].items():
        if each["days"] < settings["certificate_days"]:
            found.append(("", f"certificate {name} ends in {each['days']} days, at {each['until']}"))
    for path, each in status["disks"].items():
        if each["percent"] > settings["disk_percent"]:
            found.append(("", f"{path} is {each['percent']} % full, {each['free_gib']} GiB are free"))
    known = {unit for unit, _ in found}
    return found + [(unit, f"{unit} has failed") for unit in status["failed_units"] if unit not in known]


def look(settings: dict[str, Any], now: float) -> dict[str, Any]:
    """All of it but `problems`."""
    return {
        "machine": socket.gethostname(),
        "time": iso(now),
        "jobs": {unit: job(unit, hours, now, recall(unit)) for unit, hours in jobs(settings["jobs"]).items()},
        "certificates": certificates(),
        "disks": disks(settings["disks"]),
        "failed_units": failed_units(),
    }


def main() -> int:
    settings, now = json.loads(SETTINGS.read_text()), time.time()
    status = look(settings, now)
    found = problems(status, settings)
    if "--check" not in sys.argv[1:]:
        print(json.dumps(status | {"problems": [text for _, text in found]}, indent=1))
        return 0
    for unit in status["jobs"]:
        if not recall(unit):
            remember(unit, {"since": now})
    # What a unit's own failure has told is not told again.
    untold = [text for unit, text in found if not (unit and "told" in recall(unit))]
    print("\n".join(untold) or "all is well")
    return 1 if untold else 0


if __name__ == "__main__":
    sys.exit(main())
