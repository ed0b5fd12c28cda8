"""The errors that a call can end with, in gRPC's terms."""

import grpc
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status


class ApiError(Exception):
    """A refusal that reaches the caller: a gRPC status code, a sentence that says what is wrong, and its details."""

    def __init__(self, code: grpc.StatusCode, message: str, details: tuple[Message, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    @property
    def number(self) -> int:
        """The code as `google.rpc.Status` carries it."""
        number: int = self.code.value[0]
        return number

    def status(self) -> Status:
        """As `google.rpc.Status`: what operations, REST and gRPC's trailing metadata carry."""
        status = Status(code=self.number, message=self.message)
        for detail in self.details:
            status.details.add().Pack(detail)
        return status


def not_found(kind: str, key: str) -> ApiError:
    return ApiError(grpc.StatusCode.NOT_FOUND, f"{kind} {key!r} not found")


def already_exists(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.ALREADY_EXISTS, message)


def invalid(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.INVALID_ARGUMENT, message)


def precondition(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.FAILED_PRECONDITION, message)


def unauthenticated(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.UNAUTHENTICATED, message)


def denied(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.PERMISSION_DENIED, message)


def unimplemented(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.UNIMPLEMENTED, message)
