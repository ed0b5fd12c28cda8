"""ended.py failed|succeeded UNIT: what systemd calls for any unit that fails, and for jobs of ours that end well.

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


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def as_text(message: object) -> str:
    """A field of the journal's JSON: what is no UTF-8 is a list of bytes there."""
    return bytes(message).decode(errors="replace") if isinstance(message, list) else str(message)


def reason(unit: str) -> str:
    """The end of what the unit itself wrote when it ran last.

    Of a process that writes and ends at once, journald often comes too late to learn the invocation; and systemd notes
    that a unit begins after it has let the process go, which may have written by then. So what has no invocation counts
    if systemd has said nothing of an earlier one since.
    """
    show = ("systemctl", "show", "--timestamp=unix", "-P")
    invocation, begun = said(*show, "InvocationID", unit), said(*show, "InactiveExitTimestamp", unit)
    since = f"@{int(begun[1:]) - 1}" if begun.startswith("@") else "-1h"
    said("journalctl", "--sync")  # journald may not have read yet what systemd has seen end
    journal = ("journalctl", "--no-pager", "--output=json", "--all", "--lines=200", f"--since={since}")
    own: list[str] = []
    for entry in map(json.loads, said(*journal, f"_SYSTEMD_UNIT={unit}", "+", f"UNIT={unit}").splitlines()):
        if entry.get("_PID") == "1":
            own = own if entry.get("INVOCATION_ID") == invocation else []
        elif entry.get("_SYSTEMD_INVOCATION_ID", invocation) == invocation:
            own.append(as_text(entry.get("MESSAGE", "")))
    return "\n".join(own[-LINES:])[-1500:] or "it wrote nothing"


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
    how, unit = sys.argv[1:]
    now, known, host = time.time(), recall(unit), socket.gethostname()
    if how == "succeeded":
        told = known.pop("told", None)
        remember(unit, known | {"succeeded": now})
        return 0 if not told or tell(f"{host}: {unit} works again", "It has just ended well.") else 1
    why = reason(unit)
    known |= {"failed": now, "why": why}
    remember(unit, known)
    if not is_news(known, why, now):
        print(f"{unit} still fails; told already")
        return 0
    text = f"{why}\n\nMore: `journalctl -u {unit}` and `machine-status` on {host}; docs/runbook.md says what to do."
    if not tell(f"{host}: {unit} failed", text):
        return 1
    remember(unit, known | {"told": {"at": now, "kind": kind(why)}})
    return 0


if __name__ == "__main__":
    sys.exit(main())
