"""Get, List and ListServices; the requests for more (QuotaRequestService) are only kept as records."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import DoubleValue
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2 as service

from local_cloud.core.calls import Call, Handler
from local_cloud.core.quotas import SERVICES
from local_cloud.services.base import Service
from local_cloud.services.generic.listing import numbered_page
from local_cloud.services.quotamanager import errors

CLOUD = "resource-manager.cloud"
_LIMITS = "yandex.cloud.quotamanager.v1.QuotaLimitService"


class QuotaManager(Service):
    def handlers(self) -> Mapping[str, Handler]:
        return {
            f"{_LIMITS}/Get": self._get,
            f"{_LIMITS}/List": self._list,
            f"{_LIMITS}/ListServices": self._list_services,
        }

    def _get(self, call: Call) -> Message:
        self._check_resource(call.request.resource)
        if call.request.quota_id not in self.context.quotas.limits:
            raise errors.quota_not_found(call.request.quota_id)
        return self._limit(call.request.quota_id, self.context.quotas.usage())

    def _list(self, call: Call) -> Message:
        self._check_resource(call.request.resource)
        if call.request.service not in SERVICES:
            raise errors.unknown_service(call.request.service, SERVICES)
        usage = self.context.quotas.usage()
        names = [name for name in self.context.quotas.limits if name.startswith(f"{call.request.service}.")]
        answer: Any = service.ListQuotaLimitsResponse(resource=call.request.resource)
        page, answer.next_page_token = numbered_page(call.request, names)
        answer.quota_limits.extend(self._limit(name, usage) for name in page)
        return answer

    def _list_services(self, call: Call) -> Message:
        if call.request.resource_type != CLOUD:
            raise errors.unknown_type(call.request.resource_type, CLOUD)
        answer: Any = service.ListServicesResponse()
        page, answer.next_page_token = numbered_page(call.request, list(SERVICES.items()))
        answer.services.extend(service.Service(id=key, name=name) for key, name in page)
        return answer

    def _check_resource(self, resource: Any) -> None:
        if resource.type != CLOUD:
            raise errors.unknown_type(resource.type, CLOUD)
        if resource.id != self.context.config.cloud_id:
            raise errors.cloud_not_found(resource.id)

    def _limit(self, name: str, usage: Mapping[str, float]) -> Any:
        limit = DoubleValue(value=self.context.quotas.limits[name])
        return service.QuotaLimit(quota_id=name, limit=limit, usage=DoubleValue(value=usage.get(name, 0)))
