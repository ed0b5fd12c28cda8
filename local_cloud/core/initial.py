"""What exists before the first call: cloud, folder, service accounts, and the configuration's resources."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from local_cloud.core import schema
from local_cloud.core.config import Config
from local_cloud.core.identity import ACCOUNT_TYPE
from local_cloud.core.resources import timestamp
from local_cloud.core.store import Store

_PACKAGE = "yandex.cloud.resourcemanager.v1"


def create_initial_resources(config: Config, store: Store) -> None:
    """Insert what is not there yet; what an earlier run has changed stays as it is."""
    for entry in _initial(config):
        if store.find(entry["id"]) is None:
            message: Any = schema.new(schema.find_type(entry["@type"]))
            json_format.ParseDict({key: value for key, value in entry.items() if key != "@type"}, message)
            message.created_at.CopyFrom(timestamp())
            store.insert(message, message.id, config.folder_id, {})


def _initial(config: Config) -> list[Mapping[str, Any]]:
    accounts = [
        {"@type": ACCOUNT_TYPE, "id": account.id, "folderId": config.folder_id, "name": name}
        for name, account in config.service_accounts.items()
    ]
    return [
        {"@type": f"{_PACKAGE}.Cloud", "id": config.cloud_id, "name": "local"},
        {"@type": f"{_PACKAGE}.Folder", "id": config.folder_id, "cloudId": config.cloud_id, "name": "local"},
        *accounts,
        *config.resources,
    ]
