"""Runs targets of the Makefile side by side and says how long each took.

    python -m tests.support.lanes test      # a list of tests/lanes.toml

A target begins when fewer than LANES run, when the memory that it takes is free, and when no other one holds what it
needs for itself. What a target prints is in .cache/lanes/TARGET.log; of one that fails, the end is shown.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support import ROOT, cpu

LOGS = ROOT / ".cache" / "lanes"
LANES = int(os.environ.get("LANES", 0)) or (os.cpu_count() or 1) + 1  # one more than cores: each waits now and then
TAIL = 60  # lines that are shown of a failed target's log
SUMMARY = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


@dataclass
class Target:
    """What is typed after `make`: a target of the Makefile, and variables that it takes.

    `memory` in GiB; `needs` names what only one target at a time may hold.
    """

    name: str
    memory: float = 1
    needs: frozenset[str] = frozenset()
    process: "subprocess.Popen[bytes] | None" = None
    begun: float = 0
    seconds: float = 0
    group: cpu.Group | None = None
    processor: float = 0  # seconds, of all that it started; without a control group, of what it waited for
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return LOGS / f"{re.sub('[^a-zA-Z0-9.=-]+', '_', self.name)}.log"

    def start(self) -> None:
        self.begun = time.monotonic()
        self.group = cpu.new_group(f"lane-{os.getpid()}-{self.log.stem}")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["make", *shlex.split(self.name)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=self.group.take if self.group else None,
            )

    def has_ended(self) -> bool:
        assert self.process
        ended, status, used = os.wait4(self.process.pid, os.WNOHANG)
        if not ended:
            return False
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.monotonic() - self.begun
        self.processor = self.group.seconds() if self.group else used.ru_utime + used.ru_stime
        if self.group:
            self.group.remove()
        for number, word in SUMMARY.findall(last_summary(self.log.read_text(errors="replace"))):
            self.counts[word.removesuffix("s")] = int(number)
        return True

    @property
    def failed(self) -> bool:
        return self.process is not None and self.process.returncode != 0

    def stop(self) -> None:
        """Ends the target with all that it has started, in order; after two minutes, by force."""
        if self.process and self.process.poll() is None:
            for number in (signal.SIGINT, signal.SIGKILL):
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(120)
                    return
                except subprocess.TimeoutExpired:
                    continue


def last_summary(text: str) -> str:
    """pytest's last closing line; empty if the target calls none."""
    found = re.findall(r"(?m)^=*\s*\d+ (?:passed|failed).* in [\d.]+s.*$", text)
    return str(found[-1]) if found else ""


def read(name: str) -> list[Target]:
    """The targets of a list, in the order in which they begin: what takes longest comes first.

    Raises:
        SystemExit: there is no such list.
    """
    table = tomllib.loads((ROOT / "tests" / "lanes.toml").read_text())
    if name not in table["lists"]:
        sys.exit(f"tests/lanes.toml has no list `{name}`; it has {', '.join(table['lists'])}.")
    chosen = [(each, table["targets"].get(each.split()[0], {})) for each in names(table["lists"], name)]
    chosen.sort(key=lambda each: -each[1].get("minutes", 0))
    return [Target(each, it.get("memory", 1), frozenset(it.get("needs", ()))) for each, it in chosen]


def names(lists: dict[str, list[str]], name: str) -> list[str]:
    """The targets of a list, with those of the lists that it includes as @name."""
    inner = [names(lists, each[1:]) if each.startswith("@") else [each] for each in lists[name]]
    return [each for part in inner for each in part]


def may_begin(target: Target, running: list[Target]) -> bool:
    if not running:
        return True
    held = frozenset[str]().union(*(each.needs for each in running))
    free = psutil.virtual_memory().available / 2**30
    # What has just begun has not taken its memory yet.
    promised = sum(each.memory for each in running if time.monotonic() - each.begun < 60)
    return len(running) < LANES and not held & target.needs and free - promised > target.memory + 1


def run(targets: list[Target]) -> None:
    """Runs all of them, whatever fails."""
    waiting, running = list(targets), list[Target]()
    try:
        while waiting or running:
            for target in list(waiting):
                if may_begin(target, running):
                    waiting.remove(target)
                    running.append(target)
                    target.start()
                    say(f"{target.name} begins")
            for target in [each for each in running if each.has_ended()]:
                running.remove(target)
                say(f"{target.name} {'FAILED' if target.failed else 'passed'} after {target.seconds:.0f} s")
                if target.failed:
                    print("\n".join(target.log.read_text(errors="replace").splitlines()[-TAIL:]), flush=True)
            time.sleep(0.2)
    finally:
        for target in running:
            target.stop()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def table(targets: Iterable[Target], seconds: float) -> str:
    """Seconds by target, the longest first, and what was skipped with its reason."""
    lines = [f"\n{'target':28}{'seconds':>8}{'CPU s':>8}{'passed':>8}{'failed':>8}{'skipped':>8}"]
    targets = sorted(targets, key=lambda each: -each.seconds)
    for each in targets:
        counts = [each.counts.get(word, "") for word in ("passed", "failed", "skipped")]
        lines.append(
            f"{each.name:28}{each.seconds:8.0f}{each.processor:8.0f}"
            + "".join(f"{count:>8}" for count in counts)
            + ("  FAILED, its log is " + str(each.log.relative_to(ROOT)) if each.failed else "")
        )
    alone = sum(each.seconds for each in targets)
    used = sum(each.processor for each in targets)
    lines.append(f"{'all, side by side':28}{seconds:8.0f}{used:8.0f}  (one after the other {alone:.0f})")
    for each in targets:
        log = each.log.read_text(errors="replace") if each.log.exists() else ""
        lines += [f"{each.name}: {line}" for line in re.findall(r"(?m)^(?:SKIPPED|skipped:).*$", log)]
    return "\n".join(lines)


def main() -> int:
    (name,) = sys.argv[1:]
    targets, begun = read(name), time.monotonic()
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background, by all that we start too
    say(f"{len(targets)} targets in {LANES} lanes; their logs are in {LOGS.relative_to(ROOT)}/")
    run(targets)
    print(table(targets, time.monotonic() - begun))
    failed = sum(each.failed for each in targets)
    passed = sum(each.counts.get("passed", 0) for each in targets)
    tests_failed = sum(each.counts.get("failed", 0) + each.counts.get("error", 0) for each in targets)
    print(f"{passed} passed, {max(tests_failed, failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
