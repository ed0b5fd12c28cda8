"""What a type of resource is to the stand-in: how its values become requests, and answers of the cloud its values."""

from typing import Any, ClassVar

from stack.provider.kinds.api import Api
from stack.provider.messages import UNKNOWN, Json


class Kind:
    """A type whose service has Create, Get, Update and Delete. Another one overrides what it does otherwise."""

    service = ""
    own = ""  # the field of requests by which its id is said
    same: tuple[str, ...] = ("name", "description", "folder_id", "labels")  # attributes that are fields of that name
    anew: frozenset[str] = frozenset({"folder_id"})  # attributes whose change makes the resource anew
    kept: tuple[str, ...] = ()  # blocks and objects that stay as the cloud tells them where the configuration has none
    compared = False  # of the provider's newer framework: Terraform compares what was made with what was planned
    whole_updates = False  # an Update says everything, and its mask what has changed; else only what has changed
    defaults: ClassVar[Json] = {}  # path of an attribute -> what the provider sets where nothing is said

    def fields(self, values: Json) -> Json:
        """Path of a field within a request -> its value; what is not said is left out."""
        found = said(values, *self.same)
        return found | {path: value for path, value in self.more(values).items() if value is not None}

    def more(self, values: Json) -> Json:
        """The fields that are called otherwise than their attributes, or look otherwise."""
        return {}

    def told(self, api: Api, message: Json, values: Json) -> Json:
        """The attributes that are called otherwise than their fields, or look otherwise."""
        return {}

    # ---------------------------------------------------------------------------- the calls
    def create(self, api: Api, values: Json) -> None:
        metadata, _ = api.do(f"{self.service}/Create", nested(self.fields(values)))
        values["id"] = metadata[self.own]

    def message(self, api: Api, values: Json) -> Json | None:
        """The cloud's own description of it; None if it is gone."""
        return api.find(f"{self.service}/Get", {self.own: values["id"]})

    def read(self, api: Api, values: Json) -> Json | None:
        """The values as the cloud tells them; None if there is no such thing."""
        message = self.message(api, values)
        if message is None:
            return None
        found = {name: message[name] for name in (*self.same, "created_at", "status") if name in message}
        return found | self.told(api, message, values)

    def update(self, api: Api, prior: Json, values: Json) -> None:
        before, after = self.fields(prior), self.fields(values)
        paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
        if paths:
            said = after if self.whole_updates else {path: after[path] for path in paths if path in after}
            said.pop("folder_id", None)
            api.do(f"{self.service}/Update", {self.own: prior["id"], **nested(said), "update_mask": paths})

    def delete(self, api: Api, values: Json) -> None:
        api.remove(f"{self.service}/Delete", {self.own: values["id"]})


def nested(fields: Json) -> Json:
    """`{"a.b": 1}` -> `{"a": {"b": 1}}`."""
    result: Json = {}
    for path, value in fields.items():
        *parents, name = path.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return result


def one(blocks: Any) -> Json:
    """The one block of a list, or an empty one."""
    return dict(blocks[0]) if blocks else {}


def said(values: Json, *names: str) -> Json:
    """Those of these attributes that have a value."""
    return {name: values[name] for name in names if values.get(name) not in (None, "", [], {}, UNKNOWN)}


def gib(size: Any) -> int:
    return int(size) << 30


def whole(size: Any) -> int:
    """GiB of so many bytes, which JSON has as a text."""
    return int(size) >> 30
