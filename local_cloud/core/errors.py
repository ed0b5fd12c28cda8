"""The errors that a call can end with, in gRPC's terms."""

import grpc


class ApiError(Exception):
    """A refusal that reaches the caller: a gRPC status code and a sentence that says what is wrong."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def number(self) -> int:
        """The code as `google.rpc.Status` carries it."""
        number: int = self.code.value[0]
        return number


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
