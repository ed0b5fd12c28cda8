"""A throw-away PostgreSQL on loopback that takes only TLS and a password, as a managed one does."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import trustme

NOBODY = 65534  # PostgreSQL refuses to run as root


def programs() -> Path | None:
    """Folder of `initdb` and `postgres`: Debian's newest, or the one on PATH."""
    debian = sorted(glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass(frozen=True)
class Database:
    """`ca`: certificate of its authority; `user` owns everything; `bin`: PostgreSQL's programs."""

    bin: Path
    port: int
    ca: Path
    user: str
    password: str

    def ask(self, statement: str, database: str = "postgres", check: bool = True) -> str:
        """What psql says, without decoration."""
        address = f"host=127.0.0.1 port={self.port} user={self.user} dbname={database} sslmode=require"
        command = [self.bin / "psql", "-XqAt", "-c", statement, address]
        environment = {**os.environ, "PGPASSWORD": self.password}
        done = subprocess.run(command, env=environment, check=check, capture_output=True, text=True)
        return done.stdout.strip()


@contextmanager
def started(bin: Path, port: int, user: str, password: str) -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(folder / "ca.crt")
        certificate.private_key_pem.write_to_path(folder / "server.key")
        certificate.cert_chain_pems[0].write_to_path(folder / "server.crt")
        (folder / "server.key").chmod(0o600)
        (folder / "password").write_text(password)
        owner = []
        if os.geteuid() == 0:
            owner = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            for path in (folder, *folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        options = [f"--username={user}", f"--pwfile={folder}/password", "--auth=scram-sha-256", "--encoding=UTF8"]
        initdb = [*owner, bin / "initdb", f"--pgdata={folder}/data", "--no-sync", *options]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder)
        (folder / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": folder / "server.crt",
            "ssl_key_file": folder / "server.key",
            "fsync": "off",
        }
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        with open(folder / "log", "w") as log:
            process = subprocess.Popen(
                [*owner, bin / "postgres", "-D", folder / "data", *arguments], stdout=log, stderr=log, cwd=folder
            )
        try:
            database = Database(bin, port, folder / "ca.crt", user, password)
            end = time.monotonic() + 60
            while not database.ask("SELECT 1", check=False):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"PostgreSQL did not start within 60 s:\n{(folder / 'log').read_text()}")
                time.sleep(0.1)
            yield database
        finally:
            process.terminate()
            process.wait(30)
