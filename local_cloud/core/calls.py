"""A call, what answers it, and the work that it may begin. Each step returns what it found; none writes into a call."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from local_cloud.core import schema
from local_cloud.core.errors import ApiError
from local_cloud.core.resources import Row


@dataclass(frozen=True)
class Call:
    """One call of one method. `subject` is the caller's id; `protocol` is what it came by ("grpc" or "rest")."""

    method: MethodDescriptor
    request: Any
    subject: str
    protocol: str = "grpc"

    @property
    def name(self) -> str:
        """The method's full name, `yandex.cloud.vpc.v1.NetworkService/Get`."""
        return schema.name_of(self.method)


class Stop:
    """Tells work under way to end early. `reason` is then "cancelled" (asked for) or "shutdown" (of the endpoint)."""

    def __init__(self) -> None:
        self.reason = ""
        self._asked = threading.Event()

    def ask(self, reason: str) -> None:
        self.reason = reason
        self._asked.set()

    def wait(self, seconds: float) -> bool:
        """Wait that long; True at once when the work is to end."""
        return self._asked.wait(seconds)


@dataclass(frozen=True)
class Begun:
    """What `begin` of a verb found or made: the resource, and the status that it had before (to go back to)."""

    row: Row
    previous: str = ""


@dataclass(frozen=True)
class Work:
    """An operation under way: the call that began it, the key of its resource, and that resource's status before."""

    call: Call
    operation: str
    resource: str
    previous: str
    stop: Stop = field(default_factory=Stop)


@dataclass(frozen=True)
class Verb:
    """A method that answers with an operation.

    `begin` checks the request and makes what is visible at once; `finish` does the work and returns the response;
    `failed` tidies up; `resume` takes the place of `finish` when the endpoint was killed in between. With `at_once` the
    operation is done when it is told of.
    """

    begin: Callable[[Call], Begun]
    finish: Callable[[Work], Message]
    failed: Callable[[Work, ApiError], None] = lambda work, error: None
    resume: Callable[[Work], Message] | None = None
    at_once: bool = False


# A method that answers at once.
Query = Callable[[Call], Message]
Handler = Verb | Query


class Api(Protocol):
    """What the protocols hand their calls to."""

    def call(self, method: MethodDescriptor, request: Any, authorization: str, protocol: str, key: str = "") -> Message:
        """The answer; raises `ApiError`."""
