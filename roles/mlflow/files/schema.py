"""Makes the tables of both databases where there are none, and looks whether existing ones are this release's.

Prints `changed: …` for what it did. Migrates an older schema only with --migrate: there is no way back but a backup.
"""

import os
import sys

import sqlalchemy
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.db import utils as auth
from mlflow.store.db import utils as tracking


def bring_up(name, url, version_table, alembic_config, create, migrate):
    """Makes or, if asked, migrates one database.

    Raises:
        SystemExit: its schema is another release's; says which command mends that.
    """
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        now = MigrationContext.configure(connection, opts={"version_table": version_table}).get_current_revision()
    script = ScriptDirectory.from_config(alembic_config)
    head = script.get_current_head()
    if now == head:
        return
    if now is None:
        create(engine)
        print(f"changed: schema of {name} is {head}, from nothing")
        return
    if now not in {revision.revision for revision in script.walk_revisions()}:
        sys.exit(
            f"The database of {name} is at schema {now}, which this MLflow (schema {head}) does not know: it is newer. "
            "Install the release that made it, or restore the backup taken before (ansible/playbooks/restore.yml)."
        )
    if "--migrate" not in sys.argv:
        sys.exit(
            f"The database of {name} is at schema {now}, this MLflow needs {head}; the way back is a backup. "
            "`ansible-playbook ansible/playbooks/upgrade.yml` makes one and migrates."
        )
    migrate(engine)
    print(f"changed: schema of {name} from {now} to {head}")


def main():
    url, auth_url = os.environ["MLFLOW_BACKEND_STORE_URI"], read_auth_config().database_uri
    bring_up(
        "runs",
        url,
        "alembic_version",
        tracking._get_alembic_config(url),
        tracking._initialize_tables,
        tracking._upgrade_db,
    )
    bring_up(
        "users",
        auth_url,
        "alembic_version_auth",
        auth._get_alembic_config(auth_url),
        lambda engine: auth.migrate(engine, "head"),
        lambda engine: auth.migrate(engine, "head"),
    )


if __name__ == "__main__":
    main()
