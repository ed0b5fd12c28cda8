"""The ApiEndpoint service: every id of a service, at the address of the protocol by which it was asked."""

from collections.abc import Mapping

from google.protobuf.message import Message
from yandex.cloud.endpoint import api_endpoint_pb2, api_endpoint_service_pb2

from local_cloud.core.calls import Call, Handler
from local_cloud.core.errors import not_found
from local_cloud.services.base import Service
from local_cloud.services.discovery.models import ENDPOINT_IDS


class Discovery(Service):
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "yandex.cloud.endpoint.ApiEndpointService/List": self._list,
            "yandex.cloud.endpoint.ApiEndpointService/Get": self._get,
        }

    def _list(self, call: Call) -> Message:
        answer = api_endpoint_service_pb2.ListApiEndpointsResponse()
        for name in ENDPOINT_IDS:
            answer.endpoints.add(id=name, address=self.site.addresses[call.protocol])
        return answer

    def _get(self, call: Call) -> Message:
        name = call.request.api_endpoint_id
        if name not in ENDPOINT_IDS:
            raise not_found("ApiEndpoint", name)
        return api_endpoint_pb2.ApiEndpoint(id=name, address=self.site.addresses[call.protocol])
