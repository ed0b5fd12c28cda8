"""Gives every account of accounts.json the password of its credential `user-NAME`; makes it where it is missing.

Works on the database of users itself, before the server starts: so no first password ever holds, and a lost one is
mended. Users that somebody made by hand are left alone.
"""

import json
import os
from pathlib import Path

from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore


def main():
    store = SqlAlchemyStore()
    store.init_db(read_auth_config().database_uri)
    wanted = ["admin", *json.loads(Path(os.environ["ACCOUNTS"]).read_text())["users"]]
    for name in wanted:
        password = Path(os.environ["CREDENTIALS_DIRECTORY"], f"user-{name}").read_text()
        if not store.has_user(name):
            store.create_user(name, password, is_admin=name == "admin")
            print(f"changed: user {name}")
        elif not store.authenticate_user(name, password):
            store.update_user(name, password=password)
            print(f"changed: password of {name}")


if __name__ == "__main__":
    main()
