"""Get and Cancel of any service's operations; whoever may do what began one may look at it."""

from collections.abc import Mapping

from google.protobuf.message import Message

from local_cloud.core.calls import Call, Handler
from local_cloud.services.base import Service


class OperationService(Service):
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "yandex.cloud.operation.OperationService/Get": self._get,
            "yandex.cloud.operation.OperationService/Cancel": self._cancel,
        }

    def _get(self, call: Call) -> Message:
        return self.context.operations.get(call.request.operation_id)

    def _cancel(self, call: Call) -> Message:
        return self.context.operations.cancel(call.request.operation_id)
