"""A cluster as a real PostgreSQL: a machine of this host on which nobody but the service logs in."""

from typing import Any

from local_cloud.core.context import Site
from local_cloud.core.lab import LabCommand
from local_cloud.core.resources import Row
from local_cloud.services.postgresql import errors

DEBIAN = {"15": "12", "17": "13"}  # which release has which PostgreSQL
ADDRESS = "10.231.7.{}"  # of the lab's network, apart from those of instances
FIRST, LAST = 240, 249
PORT, CONNECTIONS = 6432, 400
SETTINGS = {
    "listen_addresses": "*",
    "port": PORT,
    "max_connections": CONNECTIONS,
    "password_encryption": "scram-sha-256",
}
INSTALL = """set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends postgresql-{version} > /dev/null
cd /etc/postgresql/{version}/main
umask 077
cat > server.pem <<'END'
{pair}
END
chown postgres: server.pem
printf 'local all postgres peer\\nhostssl all all samenet scram-sha-256\\n' > pg_hba.conf
{settings}
pg_conftool {version} main set ssl_cert_file "$PWD/server.pem"
pg_conftool {version} main set ssl_key_file "$PWD/server.pem"
systemctl restart postgresql@{version}-main
"""


class Servers:
    """One server for each cluster, on a machine that has the cluster's id."""

    def __init__(self, lab: LabCommand, site: Site) -> None:
        self._lab, self._site = lab, site

    def check(self, version: str, hosts: int) -> None:
        """Raises FAILED_PRECONDITION for what this host has not."""
        if version not in DEBIAN:
            raise errors.no_server_of(version, DEBIAN)
        if hosts > 1:
            raise errors.one_host(hosts)

    def make(self, cluster: Row, hosts: list[str], beside: int) -> None:
        """Makes the server, which answers at the cluster's name; `beside` is how many clusters there are besides."""
        version, address = cluster.message.config.version, ADDRESS.format(FIRST + beside)
        self._lab.run("up", cluster.key, f"--debian={DEBIAN[version]}", f"--address={address}")
        settings = "\n".join(f"pg_conftool {version} main set {name} '{value}'" for name, value in SETTINGS.items())
        self._script(cluster, INSTALL.format(version=version, pair=self._site.pair.read_text(), settings=settings))
        names = [f"c-{cluster.key}.rw.mdb.yandexcloud.net", *hosts]
        self._lab.name(f"postgresql-{cluster.key}", dict.fromkeys(names, address))

    def up(self, cluster: Row) -> None:
        self._lab.run("up", cluster.key)

    def stop(self, cluster: Row) -> None:
        self._lab.run("stop", cluster.key)

    def remove(self, cluster: Row) -> None:
        self._lab.run("down", cluster.key)
        self._lab.name(f"postgresql-{cluster.key}", {})

    def put_user(self, cluster: Row, user: Any, password: str = "") -> None:
        """Makes a user, or changes it; without a password that stays."""
        name = identifier(user.name)
        login = "LOGIN" if user.login.value else "NOLOGIN"
        secret = f" PASSWORD {text(password)}" if password else ""
        self._sql(
            cluster,
            unless(f"pg_roles WHERE rolname = {text(user.name)}", f"CREATE ROLE {name}"),
            f"ALTER ROLE {name} {login} CONNECTION LIMIT {user.conn_limit}{secret};",
        )

    def remove_user(self, cluster: Row, name: str) -> None:
        self._sql(cluster, f"DROP ROLE IF EXISTS {identifier(name)};")

    def put_database(self, cluster: Row, database: Any) -> None:
        name, owner = identifier(database.name), identifier(database.owner)
        make = f"CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        self._sql(
            cluster,
            unless(f"pg_database WHERE datname = {text(database.name)}", make),
            f"ALTER DATABASE {name} OWNER TO {owner};",
        )

    def remove_database(self, cluster: Row, name: str) -> None:
        self._sql(cluster, f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE);")

    def _sql(self, cluster: Row, *statements: str) -> None:
        psql = ("sudo", "-u", "postgres", "psql", f"--port={PORT}", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1")
        self._lab.run("ssh", cluster.key, *psql, text="\n".join(statements) + "\n")

    def _script(self, cluster: Row, script: str) -> None:
        """Secrets go by its standard input."""
        self._lab.run("ssh", cluster.key, "sudo", "sh", "-s", text=script)


def unless(there: str, statement: str) -> str:
    """A line of psql that runs a statement if a table has no such row; CREATE knows no IF NOT EXISTS for these."""
    return f"SELECT $${statement}$$ WHERE NOT EXISTS (SELECT FROM {there}) \\gexec"


def identifier(name: str) -> str:
    """A name in SQL. The API takes no quotes in one."""
    return f'"{name}"'


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"
