"""Makes the experiments and models of accounts.json and grants its users what it says."""

import json
import os
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

KINDS = ("experiment", "registered_model")


def make_resources(wanted):
    """Experiments and models by name; returns them as (type, id) as grants name them."""
    os.environ["MLFLOW_TRACKING_USERNAME"] = "admin"
    os.environ["MLFLOW_TRACKING_PASSWORD"] = Path(os.environ["CREDENTIALS_DIRECTORY"], "user-admin").read_text()
    client, resources = MlflowClient(), []
    for name in wanted["experiments"]:
        found = client.get_experiment_by_name(name)
        if found is None:
            print(f"changed: experiment {name}")
        resources.append(("experiment", found.experiment_id if found else client.create_experiment(name)))
    for name in wanted["models"]:
        try:
            client.create_registered_model(name)
            print(f"changed: model {name}")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        resources.append(("registered_model", name))
    return resources


def grant(store, user, resources, permission):
    """Gives one user the permission on every resource."""
    grants = store.list_grants(user.id, DEFAULT_WORKSPACE_NAME, KINDS)
    held = {(grant.resource_type, grant.resource_pattern): grant.permission for grant in grants}
    for kind, name in resources:
        if held.get((kind, name)) != permission:
            store.grant_user_permission(user.username, kind, name, permission)
            print(f"changed: {user.username} has {permission} on {kind} {name}")


def main():
    wanted = json.loads(Path(os.environ["ACCOUNTS"]).read_text())
    resources = make_resources(wanted)
    store = SqlAlchemyStore()
    store.init_db(read_auth_config().database_uri)
    for name, settings in wanted["users"].items():
        grant(store, store.get_user(name), resources, settings["permission"])


if __name__ == "__main__":
    main()
