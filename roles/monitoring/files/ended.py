"""ended.py UNIT: what systemd calls when a unit has failed, or a job of ours has ended well (OnFailure=, OnSuccess=).

Remembers it, and tells people of a failure: once, and again each `repeat_hours` or when the reason is another one.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import channels
from memory import Memory, recall, remember

SETTINGS = Path(os.environ.get("MONITORING_SETTINGS", "/etc/monitoring/settings.json"))
LINES = 6  # of the journal


def reason(invocation: str) -> str:
    """The end of what the unit wrote when it ran."""
    journal = ["journalctl", "--no-pager", "--output=cat", f"--lines={LINES}"]
    done = subprocess.run([*journal, f"_SYSTEMD_INVOCATION_ID={invocation}"], capture_output=True, text=True)
    return done.stdout.strip()[-1500:] or "it wrote nothing"


def kind(why: str) -> str:
    """The reason without what differs each time: numbers."""
    return re.sub(r"\d+", "#", why)


def is_news(known: Memory, why: str, now: float) -> bool:
    hours = json.loads(SETTINGS.read_text())["repeat_hours"]
    told = known.get("told")
    return not told or told["kind"] != kind(why) or now - told["at"] > hours * 3600


def tell(title: str, text: str) -> bool:
    """Whether nobody who should know is left out."""
    took, failed = channels.deliver(title, text)
    print(f"told by {', '.join(took) or 'no channel'}: {title}")
    return not failed


def main() -> int:
    unit, now = sys.argv[1], time.time()
    result, known, host = os.environ.get("MONITOR_SERVICE_RESULT", "unknown"), recall(unit), socket.gethostname()
    if result == "success":
        told = known.pop("told", None)
        remember(unit, known | {"succeeded": now})
        return 0 if not told or tell(f"{host}: {unit} works again", "It has just ended well.") else 1
    why = reason(os.environ.get("MONITOR_INVOCATION_ID", ""))
    known |= {"failed": now, "why": why}
    remember(unit, known)
    if not is_news(known, why, now):
        print(f"{unit} still fails; told already")
        return 0
    text = f"{why}\n\nMore: `journalctl -u {unit}` and `machine-status` on {host}; docs/operations.md says what to do."
    if not tell(f"{host}: {unit} failed ({result})", text):
        return 1
    remember(unit, known | {"told": {"at": now, "kind": kind(why)}})
    return 0


if __name__ == "__main__":
    sys.exit(main())
