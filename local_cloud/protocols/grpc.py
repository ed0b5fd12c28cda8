"""The gRPC side: any method of any service, by its descriptor."""

import socket
from concurrent import futures
from typing import Any

import grpc

from local_cloud.core import schema
from local_cloud.core.calls import Api
from local_cloud.core.config import ConfigError
from local_cloud.core.errors import ApiError
from local_cloud.core.tls import Tls

_WORKERS = 32


class _Handler(grpc.GenericRpcHandler):
    """Finds the method that a call names and hands the request over to the API."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = schema.find_method(details.method)
        if method is None or method.client_streaming or method.server_streaming:
            return None
        told = dict(details.invocation_metadata)
        authorization, key = (str(told.get(name, "")) for name in ("authorization", "idempotency-key"))

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return self._api.call(method, request, authorization, "grpc", key)
            except ApiError as error:
                if error.details:
                    context.set_trailing_metadata((("grpc-status-details-bin", error.status().SerializeToString()),))
                context.abort(error.code, error.message)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=schema.message_class(method.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


class GrpcServer:
    """Bound at once, so that its port is known; serves when `start` has told it the API."""

    def __init__(self, host: str, port: int, tls: Tls) -> None:
        # Without this option two endpoints would share a port and answer in turns.
        options = [("grpc.so_reuseport", 0)]
        self._server = grpc.server(futures.ThreadPoolExecutor(_WORKERS), options=options)
        credentials = grpc.ssl_server_credentials([(tls.key, tls.chain)])
        try:
            # gRPC prints lines of its own about a port that it cannot have; this asks quietly first.
            socket.create_server((host, port)).close()
            self.port = self._server.add_secure_port(f"{host}:{port}", credentials)
        except (OSError, RuntimeError) as error:
            raise ConfigError(f"{host}:{port} (grpc_port) cannot be used: {error}; 0 is any free one") from error

    def start(self, api: Api) -> None:
        self._server.add_generic_rpc_handlers((_Handler(api),))
        self._server.start()

    def stop(self) -> None:
        self._server.stop(grace=1).wait(timeout=3)
