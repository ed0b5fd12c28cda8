"""Faults on demand: a file with rules that is read at each call, so that clients can be tested against a bad day.

`STATE/faults.json` is a list of rules::

    {"method": "yandex.cloud.dataproc.v1.ClusterService/Create",   # glob over the method's full name
     "when": "call" | "operation" | "after" | "new" | "running",
     "code": "UNAVAILABLE",      # without it the rule only delays
     "message": "…", "delay": 3, # seconds
     "times": 2,                 # how often it is applied; without it always
     "node": "lost"}             # with "running" alone: "lost", "preempted" or "added"

`call` refuses before anything is done; `after` does the work and then answers with the error: the caller never learns
what was made; `operation` lets the call pass and makes its operation fail (or, by the delay, hang). `new` is a cloud
that is not consistent yet: of every resource and operation that was made in the last `NEW` seconds, the first `times`
calls that name it are refused, for each of them anew. `running` is for jobs on YARN: `delay` seconds after a job has
its first executor, a compute host of its cluster is lost (nobody replaces it), preempted (an autoscaling subcluster
gets another one), or added.
"""

import fnmatch
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from local_cloud.core.errors import ApiError
from local_cloud.core.store import Store

FILE = "faults.json"
_WHEN = ("call", "operation", "after", "new", "running")
NEW = 60  # seconds
_NODES = ("lost", "preempted", "added")
_KEYS = {"method", "when", "code", "message", "delay", "times", "node"}


@dataclass(frozen=True)
class Fault:
    """What befalls one call: `delay` seconds first, then `error`, if there is one; or what befalls a `node`."""

    delay: float
    error: ApiError | None
    node: str = ""


NO_FAULT = Fault(0.0, None)


class Faults:
    """The rules in force and the count of how often each has been applied (which survives a restart)."""

    def __init__(self, state: Path, store: Store) -> None:
        self._path = state / FILE
        self._store = store

    @property
    def exist(self) -> bool:
        return self._path.exists()

    def take(self, method: str, when: str, about: str = "") -> Fault:
        """The first rule that fits and is not used up, which counts as used; `NO_FAULT` if there is none.

        Args:
            about: the resource for which a rule's uses are counted, if not for all together.
        """
        for rule in self._rules():
            if rule["when"] == when and fnmatch.fnmatchcase(method, rule["method"]) and self._use(rule, about):
                return Fault(float(rule.get("delay", 0)), _error(rule), rule.get("node", ""))
        return NO_FAULT

    def _rules(self) -> list[dict[str, Any]]:
        if not self.exist:
            return []
        try:
            rules = json.loads(self._path.read_text())
            for rule in rules:
                check_rule(rule)
        except (ValueError, TypeError) as error:
            raise ApiError(
                grpc.StatusCode.INTERNAL, f"{self._path.name} is not a list of fault rules: {error}"
            ) from error
        return list(rules)

    def _use(self, rule: dict[str, Any], about: str) -> bool:
        if "times" not in rule:
            return True
        name = hashlib.sha256(json.dumps([rule, about], sort_keys=True).encode()).hexdigest()
        with self._store.transaction():
            rows = self._store.execute("SELECT uses FROM fault_uses WHERE rule = ?", name)
            if rows and rows[0]["uses"] >= rule["times"]:
                return False
            self._store.execute(
                "INSERT INTO fault_uses VALUES (?, 1) ON CONFLICT(rule) DO UPDATE SET uses = uses + 1", name
            )
        return True


def check_rule(rule: dict[str, Any]) -> None:
    """Raises `ValueError` that names what is wrong with a rule."""
    if unknown := set(rule) - _KEYS:
        raise ValueError(f"unknown keys {sorted(unknown)}, known are {sorted(_KEYS)}")
    if rule.get("when") not in _WHEN or "method" not in rule:
        raise ValueError(f"{rule} needs 'method' and a 'when' among {_WHEN}")
    if (rule["when"] == "running") != ("node" in rule) or rule.get("node", "lost") not in _NODES:
        raise ValueError(f"{rule}: 'when': 'running' and a 'node' among {_NODES} belong together")
    if rule["when"] == "new" and not {"code", "times"} <= set(rule):
        raise ValueError(f"{rule}: 'when': 'new' needs a 'code' and how many 'times'")
    if "code" in rule and rule["code"] not in grpc.StatusCode.__members__:
        raise ValueError(f"{rule['code']!r} is not a gRPC status code")


def _error(rule: dict[str, Any]) -> ApiError | None:
    if "code" not in rule:
        return None
    return ApiError(grpc.StatusCode[rule["code"]], rule.get("message", f"a fault of {FILE}"))
