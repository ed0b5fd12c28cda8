"""How the cloud is called: one policy for every call of it, in the DAGs and in the operator's tool.

Every network fails for moments, and the cloud is eventually consistent. What passes by itself (a service that is away,
too many calls, a broken connection) is repeated, ever more slowly. Where something may have been made a second ago, so
is the answer that it does not exist, or that one may not use it. What does not pass is raised as it came, and
`sentence` says it to a person.
"""

import logging
import time
import uuid
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import grpc
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential, wait_random

log = logging.getLogger(__name__)
Code = grpc.StatusCode

WAIT = wait_exponential(multiplier=0.2, max=8) + wait_random(0, 0.2)  # seconds before the next attempt
TOLD = 1  # seconds of waiting from which on a person is told of it
CALL = 60  # seconds for one call whose caller says nothing: a connection that is silently lost must not hang for ever
KEY = "idempotency-key"  # the cloud's: a call that comes again with the same one is done once
PASSING = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED)
NOT_YET = (Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED)  # of what was made a second ago
S3_PASSING = ("SlowDown", "RequestTimeout", "TooManyRequests", "Throttling", "OperationAborted")
# Not NoSuchKey: an object is there at once, and that it is not is often the answer that is looked for.
S3_NOT_YET = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket", "403")


@dataclass(frozen=True)
class Patience:
    """For how many seconds a call is repeated; `fresh`: what it is about may have been made a second ago."""

    seconds: float = 60
    fresh: bool = False

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """The function's answer, repeated while what it raises passes by itself; raises the last as it came."""
        return self.retrying(self.passes)(function, *arguments, **named)

    def retrying(self, passes: Callable[[BaseException], bool]) -> Retrying:
        return Retrying(
            retry=retry_if_exception(passes),
            wait=WAIT,
            stop=stop_after_delay(self.seconds),
            before_sleep=_tell,
            reraise=True,
        )

    def passes(self, problem: BaseException) -> bool:
        """Whether an error of gRPC passes by itself. A quota that is used up does not."""
        if not isinstance(problem, grpc.RpcError):
            return False
        code = problem.code()
        if code is Code.RESOURCE_EXHAUSTED and is_quota(problem):
            return False
        return code in PASSING or (self.fresh and code in NOT_YET)

    # ------------------------------------------------------------------------------------------- clients
    def sdk(self, sdk: Any) -> Any:
        """The SDK itself, whose clients from now on have this patience, and its operations more."""
        made = sdk.client
        # An operation is looked at when it was begun a second ago, and what it makes is at stake meanwhile.
        operations = Patience(max(self.seconds, 180), fresh=True)

        def client(stub: Any, interceptor: Any = None, **options: Any) -> Any:
            if not isinstance(interceptor, _Repeated):  # else its caller knows better; the SDK's own is replaced
                interceptor = (operations if stub.__name__ == "OperationServiceStub" else self).interceptor()
            return self.call(made, stub, interceptor=interceptor, **options)

        sdk.client = client
        return sdk

    def interceptor(self) -> grpc.UnaryUnaryClientInterceptor:
        """For one client of any SDK."""
        return _Repeated(self)

    def s3(self, client: Any) -> Any:
        """The S3 client itself, whose calls from now on have this patience. Its own retries are to be switched off."""
        client.meta.events.register_first("needs-retry.s3", partial(_needs_retry, self))
        return client


ORDINARY = Patience()
FRESH = Patience(120, fresh=True)  # for what stands on something that may have been made a second ago


def is_quota(problem: Any) -> bool:
    """Of RESOURCE_EXHAUSTED: whether a quota is used up; else calls were too many for a moment."""
    details = [value for key, value in problem.trailing_metadata() or () if key == "grpc-status-details-bin"]
    return any(b"QuotaFailure" in each for each in details) or "quota" in str(problem.details()).lower()


class _Details(
    namedtuple("_Details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")),
    grpc.ClientCallDetails,
):
    """A call as gRPC hands it on."""


class _Repeated(grpc.UnaryUnaryClientInterceptor):
    """Repeats a call, with one key for all attempts: what was done although its answer was lost is not done twice."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        said = client_call_details
        metadata = [*(said.metadata or ()), (KEY, str(uuid.uuid4()))]
        more = (getattr(said, name, None) for name in ("wait_for_ready", "compression"))
        details = _Details(said.method, said.timeout or CALL, metadata, said.credentials, *more)

        def once() -> Any:
            answer = continuation(details, request)
            if isinstance(answer, grpc.RpcError):
                raise answer
            return answer

        return self.patience.call(once)


def _needs_retry(
    patience: Patience, response: Any, attempts: int, caught_exception: Any, request_dict: Any, **_: Any
) -> float | None:
    """botocore's question after each attempt: seconds until the next one, or None for the end."""
    begun = request_dict["context"].setdefault("begun", time.monotonic())
    state: Any = SimpleNamespace(attempt_number=attempts)
    wait = WAIT(state)
    if time.monotonic() + wait > begun + patience.seconds:
        return None
    if caught_exception is not None:
        why = str(caught_exception) if _is_connection(caught_exception) else ""
    else:
        status, error = response[0].status_code, response[1].get("Error", {})
        code = error.get("Code", str(status))
        passes = (status >= 500 and status != 501) or status == 429 or code in S3_PASSING
        why = f"{status} {code}" if passes or (patience.fresh and code in S3_NOT_YET) else ""
    if not why:
        return None
    _say(wait, why)
    return wait


def _is_connection(problem: Exception) -> bool:
    from botocore import exceptions

    return isinstance(problem, exceptions.ConnectionError | exceptions.HTTPClientError) and not isinstance(
        problem, exceptions.SSLError
    )


def _tell(state: RetryCallState) -> None:
    problem = state.outcome.exception() if state.outcome else None
    said = f"{problem.code().name}, {problem.details()}" if isinstance(problem, grpc.RpcError) else str(problem)
    _say(state.next_action.sleep if state.next_action else 0, said)


def _say(wait: float, why: str) -> None:
    if wait >= TOLD:
        log.warning("the cloud answers %s; again in %.0f s", " ".join(why.split())[:300], wait)


# ------------------------------------------------------------------------------------------------ the end
AWAY = (
    "A service is away, or the connection was broken: this passes by itself. Do the same again in some minutes; "
    "https://status.yandex.cloud tells of long ones."
)
RIGHTS = (
    "Give the account that asks the role for it (`yc resource-manager folder add-access-binding`); a role, a key or a "
    "bucket of a minute ago may need another minute."
)
HERE = "HERE"  # no code of gRPC: a server of the stack on one machine
WAYS = {
    "UNAUTHENTICATED": "Log in anew (`export YC_TOKEN=$(yc iam create-token)`, or a key that is valid): docs/cloud.md.",
    "RESOURCE_EXHAUSTED": (
        "A quota is used up (`yc quota-manager quota-limit list` shows them), or calls were too many: take less, ask "
        "for more, or do the same again in some minutes."
    ),
    "NOT_FOUND": (
        "What is named there does not exist, not yet or not any more: what was made a minute ago may need another one; "
        "else look whether the settings name what there is."
    ),
    "PERMISSION_DENIED": RIGHTS,
    HERE: "It may be busy, or have ended: `make status` says what runs, its log says why. Do the same again.",
    **dict.fromkeys(("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "CANCELLED", "UNKNOWN"), AWAY),
}
OTHERWISE = "The message says what the cloud expects: mend that, then do the same again."
# HTTP's statuses in gRPC's terms.
CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def sentence(problem: BaseException) -> str | None:
    """What went wrong on the way to the cloud or there, and the way on, on one line; None: it was something else."""
    told = _told(problem)
    if told is None:
        return None
    who = "A program on this machine" if told[1] == HERE else "The cloud"
    return f"{who} did not do it: {reason(problem)}. {WAYS.get(told[1], OTHERWISE)}"


def reason(problem: BaseException) -> str | None:
    """The first half of `sentence`: what was answered, on one line; None: it was something else than the cloud."""
    told = _told(problem)
    return " ".join(told[0].split())[:800].rstrip(".") if told else None


Told = tuple[str, str] | None  # what is wrong, and the code of gRPC that comes nearest


def _told(problem: BaseException) -> Told:
    return _of_grpc(problem) or _of_operation(problem) or _of_s3(problem) or _of_http(problem)


def _of_grpc(problem: BaseException) -> Told:
    if isinstance(problem, grpc.RpcError):
        code = problem.code().name
        return f"{code}, {problem.details()}", code
    return None


def _of_operation(problem: BaseException) -> Told:
    """The SDK's error of an operation that has failed: its message has everything, among it the cloud's own."""
    if type(problem).__name__ != "OperationError":
        return None
    text = str(problem)
    number = text.partition("Error code: ")[2].partition(".")[0]
    code = next((each.name for each in Code if str(each.value[0]) == number), "")
    message = text.partition(" Message: ")[2].rpartition(". Meta:")[0]
    # A job that fails of itself is INTERNAL, too: no service is away.
    return f"{code}, {message}" if message else text, "" if WAYS.get(code) is AWAY else code


def _of_s3(problem: BaseException) -> Told:
    from botocore import exceptions

    if isinstance(problem, exceptions.ClientError):
        error, answer = problem.response.get("Error", {}), problem.response.get("ResponseMetadata", {})
        status = int(answer.get("HTTPStatusCode", 0))
        what = (
            f"Object Storage answers {status} {error.get('Code')} to {problem.operation_name}, {error.get('Message')}"
        )
        return what, CODES.get(status, "UNAVAILABLE" if status >= 500 else "")
    if isinstance(problem, exceptions.BotoCoreError):
        return f"Object Storage, {problem}", "UNAVAILABLE" if _is_connection(problem) else ""
    return None


def _of_http(problem: BaseException) -> Told:
    """Of `requests`, and of the sockets below everything."""
    from requests import RequestException

    asked = getattr(getattr(problem, "request", None), "url", None)
    here = HERE if asked and urlsplit(asked).hostname in ("127.0.0.1", "localhost") else ""
    answer = getattr(problem, "response", None)
    if isinstance(problem, RequestException) and answer is not None:
        status = answer.status_code
        code = CODES.get(status, "UNAVAILABLE" if status >= 500 else "")
        return f"{answer.url} answers {status} {answer.reason}", here or code
    if isinstance(problem, RequestException | ConnectionError | TimeoutError):
        return f"{type(problem).__name__}: {problem}", here or "UNAVAILABLE"
    return None
