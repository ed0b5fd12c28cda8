"""MLflow's registry of the one model, with the calls of MlflowClient that the DAGs make."""

from types import SimpleNamespace
from typing import Any


class Models:
    """Aliases, and tags by version; `moves` counts the aliases that were set."""

    def __init__(self, **aliases: str) -> None:
        self.aliases: dict[str, str] = aliases
        self.tags: dict[str, dict[str, str]] = {}
        self.moves = 0

    def get_registered_model(self, name: str) -> Any:
        return SimpleNamespace(aliases=dict(self.aliases))

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version
        self.moves += 1

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.tags.setdefault(version, {})[key] = value

    def search_model_versions(self, query: str) -> list[Any]:
        return [SimpleNamespace(version=version, tags=dict(tags)) for version, tags in self.tags.items()]

    def get_run(self, run_id: str) -> Any:
        return SimpleNamespace(info=SimpleNamespace(experiment_id="7"))
