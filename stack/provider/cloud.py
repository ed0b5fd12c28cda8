"""The cloud behind the stand-in: makes, changes, removes and reads by the API, unless a test wants it otherwise."""

import json
import time
from pathlib import Path
from typing import Any

from stack.provider.kinds import KINDS, compute
from stack.provider.kinds.api import Api, Refused
from stack.provider.messages import UNKNOWN, Json


class Cloud:
    """One provider's cloud. FOLDER has its configuration and what tests say of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, json.loads((folder / "provider.json").read_text())
        self.api = Api(self.config)

    def wait(self, kind: str) -> None:
        """Waits while a test asks for it, or fails as it asks for: FOLDER/trouble.json, {type: "hold" | error}."""
        trouble = self.trouble(kind)
        if trouble not in (None, "hold"):
            raise Refused(trouble)
        self.note_call(kind)
        while self.trouble(kind) == "hold":
            time.sleep(0.05)

    def note_call(self, name: str) -> None:
        with (self.folder / "calls").open("a") as calls:
            calls.write(f"{name}\n")

    def trouble(self, kind: str) -> str | None:
        return self.noted("trouble").get(kind)

    def apply(self, kind: str, prior: Json | None, new: Json | None) -> Json | None:
        """Makes, changes or removes; the values as the cloud tells them afterwards, or None.

        Raises:
            Refused: the cloud would not do it. What was made by then is in `new`: it has an id.
        """
        if prior is None or new is None:
            self.wait(kind)
        if new is None:
            assert prior is not None
            KINDS[kind].delete(self.api, prior)
            return None
        if prior is None:
            KINDS[kind].create(self.api, new)
        else:
            self.forget_by_hand(kind, new)
            KINDS[kind].update(self.api, prior, new)
        found = KINDS[kind].read(self.api, new)
        if found is None:
            raise Refused(f"{kind} {new.get('name', new['id'])} is gone as soon as it was made")
        return found

    # ---------------------------------------------------------------------------- what others have done meanwhile
    def read(self, kind: str, values: Json) -> Json | None:
        """The resource as it is now: with what is in FOLDER/by-hand.json, {type: {name: {attribute: value}}}.

        What is said there of a list or set comes to it, of anything else replaces it, until the next change.
        """
        found = KINDS[kind].read(self.api, values)
        if found is not None:
            for name, value in self.noted("by-hand").get(kind, {}).get(values.get("name"), {}).items():
                found[name] = [*found[name], *value] if isinstance(value, list) else value
        return found

    def forget_by_hand(self, kind: str, values: Json) -> None:
        """A change sets everything as it was planned: what came by hand is gone."""
        by_hand = self.noted("by-hand")
        if by_hand.get(kind, {}).pop(values.get("name"), None):
            (self.folder / "by-hand.json").write_text(json.dumps(by_hand))

    def noted(self, what: str) -> Json:
        file = self.folder / f"{what}.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def look_up(self, kind: str, values: Json) -> Json:
        """A data source: of those that the module asks there is one."""
        self.wait(f"data.{kind}")
        if kind != "yandex_compute_image":
            raise Refused(f"{kind} cannot be looked up here")
        return compute.image(self.api, values)


def settled(spec: Json, planned: Any, found: Json) -> Json:
    """The planned values of a block or object, with what was found in place of what was not said.

    A provider tells nothing of what is empty and was not asked for.
    """
    result: Json = {}
    for name, attribute in spec.get("attributes", {}).items():
        before = planned.get(name)
        value = found.get(name, None if before == UNKNOWN else before)
        if not value and before is None and not attribute.get("computed"):
            value = None
        nested = attribute.get("nested_type")
        if nested and isinstance(value, dict):
            was = before if isinstance(before, dict) else {}
            if nested["nesting_mode"] == "map":
                value = {key: settled(nested, was.get(key) or {}, each) for key, each in value.items()}
            else:
                value = settled(nested, was, value)
        result[name] = value
    for name, inner in spec.get("block_types", {}).items():
        result[name] = settled_blocks(inner, planned.get(name), found.get(name, planned.get(name)))
    return result


def settled_blocks(inner: Json, planned: Any, found: Any) -> Any:
    block = inner["block"]
    if isinstance(found, dict):
        return settled(block, planned if isinstance(planned, dict) else {}, found)
    if not isinstance(found, list):
        return found
    before = planned if isinstance(planned, list) else []
    if inner["nesting_mode"] == "list":
        padded = [*before, *[{}] * len(found)]
        return [settled(block, was, each) for was, each in zip(padded, found, strict=False)]
    return [settled(block, next((was for was in before if fits(was, each)), {}), each) for each in found]


def fits(planned: Json, found: Json) -> bool:
    """Whether a member of a set is the one that was planned: all that was said of it is so."""
    said = {name: value for name, value in planned.items() if value not in (None, UNKNOWN, "", [], {})}
    return all(found.get(name) == value for name, value in said.items())
