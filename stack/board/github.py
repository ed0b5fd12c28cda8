"""GitHub's GraphQL, as it asks to be called: one call after the other, slowly, and not again before it says so.

Source: docs.github.com, "Rate limits and query limits for the GraphQL API".
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from stack.common.console import say_indented
from stack.common.errors import StackError

PUBLIC = "https://api.github.com/graphql"
ADDRESS, TOKENS = "GITHUB_GRAPHQL_URL", ("GITHUB_TOKEN", "GH_TOKEN")  # the first as GitHub's own runners set it
BETWEEN = 1.0  # seconds between two calls that change something
LONGEST = 900  # seconds; a limit that lasts longer is told and not waited for
ATTEMPTS = 6


class NotNow(Exception):
    """GitHub does not answer for the moment; `seconds` until it may be asked again."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass
class GitHub:
    """`token` is sent, and never printed."""

    token: str = field(repr=False)
    address: str = PUBLIC
    between: float = BETWEEN
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    scopes: frozenset[str] | None = None  # of the token; None: not told, as of fine-grained ones
    _changed: float = field(default=-math.inf, repr=False)

    @classmethod
    def of_environment(cls) -> "GitHub":
        """Raises StackError if there is no token."""
        token = next((os.environ[name] for name in TOKENS if os.environ.get(name)), None)
        if token is None:
            raise StackError(
                f"Neither {' nor '.join(TOKENS)} is set. A token with the scopes `project` and `repo` is expected: "
                "`export GH_TOKEN=$(gh auth token)`, after `gh auth refresh --scopes project,repo`."
            )
        return cls(token, os.environ.get(ADDRESS, PUBLIC))

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer's `data`.

        Raises:
            StackError: GitHub refuses it, or is away for long.
        """
        for attempt in Retrying(
            retry=retry_if_exception_type(NotNow),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            before_sleep=_tell,
            sleep=self.sleep,
            retry_error_callback=_give_up,
        ):
            with attempt:
                return self._once(query, variables)

    def pages(self, query: str, path: tuple[str, ...], **variables: Any) -> Iterator[Any]:
        """All nodes of a connection that is at `path` in the answer."""
        after = None
        while True:
            connection = self.ask(query, after=after, **variables)
            for name in path:
                connection = connection[name]
            yield from connection["nodes"]
            if not connection["pageInfo"]["hasNextPage"]:
                return
            after = connection["pageInfo"]["endCursor"]

    def _once(self, query: str, variables: Mapping[str, Any]) -> Any:
        changes = query.startswith("mutation")
        if changes:
            self.sleep(max(0.0, self._changed + self.between - self.clock()))
        try:
            answer = requests.post(
                self.address,
                json={"query": query, "variables": variables},
                headers={"Authorization": f"bearer {self.token}"},
                timeout=60,
            )
        except requests.RequestException as problem:
            raise away(f"{self.address} does not answer ({type(problem).__name__})", changes) from None
        finally:
            self._changed = self.clock() if changes else self._changed
        if "X-OAuth-Scopes" in answer.headers:
            self.scopes = frozenset(
                filter(None, (each.strip() for each in answer.headers["X-OAuth-Scopes"].split(",")))
            )
        _refuse_status(answer, self.address, changes)
        return self._data(answer)

    def _data(self, answer: requests.Response) -> Any:
        said = answer.json()
        errors = said.get("errors", [])
        if any(each.get("type") == "RATE_LIMITED" for each in errors):
            raise NotNow("its hourly limit is used up", until(answer.headers.get("X-RateLimit-Reset")))
        if errors:
            told = "; ".join(str(each.get("message")) for each in errors)
            lacking = any(each.get("type") in ("INSUFFICIENT_SCOPES", "FORBIDDEN") for each in errors)
            way = f" {self.rights()}" if lacking else ""
            raise StackError(f"GitHub refuses: {told.rstrip('.')}.{way}")
        limit = said["data"].get("rateLimit")
        if limit and limit["remaining"] < limit["cost"]:
            reset = datetime.fromisoformat(limit["resetAt"]).timestamp()
            self._rest(NotNow("its hourly limit is used up", until(str(reset))))
        return said["data"]

    def _rest(self, why: NotNow) -> None:
        """This answer is there; the next one must wait."""
        require_short(why)
        self.sleep(why.seconds)

    def rights(self) -> str:
        has = (
            "it does not say which it has"
            if self.scopes is None
            else f"it has {', '.join(sorted(self.scopes)) or 'none'}"
        )
        return (
            f"The token needs the scopes project and repo ({has}): `gh auth refresh --scopes project,repo`, then "
            "`export GH_TOKEN=$(gh auth token)`; a fine-grained one: Projects and Issues, read and write."
        )

    def require_scopes(self, *wanted: str) -> None:
        """Raises StackError if a token that tells its scopes lacks one. Call it after any question."""
        if self.scopes is not None and not set(wanted) <= self.scopes:
            raise StackError(f"The token may not do it. {self.rights()}")


def away(why: str, changes: bool) -> Exception:
    """A question is asked again; a change may have been made, and made again there would be two of it."""
    if not changes:
        return NotNow(why, 2)
    return StackError(f"GitHub: {why}, to a change that may be done or not. The same command looks first, and goes on.")


def until(epoch: str | None) -> float:
    """Seconds until a moment; a minute if GitHub does not tell."""
    return max(1.0, float(epoch) - datetime.now(UTC).timestamp() + 1) if epoch else 60.0


def _refuse_status(answer: requests.Response, address: str, changes: bool) -> None:
    if answer.status_code == 401:
        raise StackError(f"{address} does not take the token (401): it is mistyped, or has expired. `gh auth token`.")
    limited = answer.status_code in (403, 429)
    if limited and "Retry-After" in answer.headers:
        raise NotNow("it was asked too often", float(answer.headers["Retry-After"]))
    if limited and answer.headers.get("X-RateLimit-Remaining") == "0":
        raise NotNow("its hourly limit is used up", until(answer.headers.get("X-RateLimit-Reset")))
    if answer.status_code == 429:
        raise NotNow("it was asked too often", 60)
    if answer.status_code >= 500:
        raise away(f"it answers {answer.status_code}", changes)
    if answer.status_code != 200:
        raise StackError(
            f"{address} answers {answer.status_code} {answer.reason}: {' '.join(answer.text.split())[:300]}"
        )


def _wait(state: RetryCallState) -> float:
    problem = state.outcome.exception() if state.outcome else None
    assert isinstance(problem, NotNow)
    require_short(problem)
    return problem.seconds * 2 ** (state.attempt_number - 1) if problem.seconds <= 2 else problem.seconds


def require_short(problem: NotNow) -> None:
    if problem.seconds > LONGEST:
        at = datetime.fromtimestamp(time.time() + problem.seconds, UTC).strftime("%H:%M")
        raise StackError(
            f"GitHub: {problem}, until {at} UTC. What is done stays done: the same command goes on from here then."
        )


def _tell(state: RetryCallState) -> None:
    assert state.outcome
    assert state.next_action
    say_indented(f"GitHub: {state.outcome.exception()}; again in {state.next_action.sleep:.0f} s")


def _give_up(state: RetryCallState) -> None:
    problem = state.outcome.exception() if state.outcome else None
    raise StackError(
        f"GitHub: {problem}, {ATTEMPTS} times. What is done stays done: the same command goes on from here."
    )
