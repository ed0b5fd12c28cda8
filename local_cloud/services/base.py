"""What the endpoint asks of a service that has ways of its own."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from google.protobuf.message import Message

from local_cloud.core.calls import Call, Handler, Work
from local_cloud.core.context import Context, Site
from local_cloud.core.errors import ApiError
from local_cloud.core.quotas import Holding, Shortage
from local_cloud.core.resources import Row, status_of
from local_cloud.services.generic.verbs import Resources

Engine = TypeVar("Engine")
Finish = Callable[[Work], Message]


def on_host(engine: Engine | None, act: Callable[[Engine, Work], None], finish: Finish) -> Finish:
    """The end of a verb, before which the same is done on this host; without an engine resources are records alone."""
    if engine is None:
        return finish

    def ending(work: Work) -> Message:
        act(engine, work)
        return finish(work)

    return ending


class Service:
    """One service: its verbs by method, and what it opens when the endpoint starts."""

    def __init__(self, context: Context, site: Site) -> None:
        self.context = context
        self.store = context.store
        self.site = site
        self.resources = Resources(context)

    def handlers(self) -> Mapping[str, Handler]:
        """The methods that the shared verbs do not do as the cloud does, by their full names."""
        raise NotImplementedError

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        """What is refused of a request before its method is called, by the method's full name; raises `ApiError`."""
        return {}

    def holdings(self) -> Mapping[str, Holding]:
        """What a resource takes of the cloud's quotas, by its type's full name."""
        return {}

    def resume(self) -> None:
        """After a restart: open again what an earlier run had open."""

    def shutdown(self) -> None:
        """Close what is open."""

    def running(self, kind: str) -> list[Row]:
        return [row for row in self.store.select(kind) if status_of(row.message) == "RUNNING"]

    def add_parts(
        self, cluster: Row, kind: str, parts: Mapping[str, Message], refusal: Callable[[list[Shortage]], ApiError]
    ) -> None:
        """What a new cluster consists of, by key: all of it, or nothing if the quotas do not suffice.

        Raises:
            ApiError: what `refusal` makes of the quotas that are short.
        """
        parents = {"cluster_id": cluster.key}
        rows = [Row(0, kind, key, cluster.folder, parents, message) for key, message in parts.items()]
        if short := self.context.quotas.shortages(*rows):
            raise refusal(short)
        for row in rows:
            self.store.insert(row.message, row.key, row.folder, row.parents)
