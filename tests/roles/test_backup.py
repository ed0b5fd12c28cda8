"""Backups use PostgreSQL's programs of the server's very version: found, installed, or refused in one sentence."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.common.envs import python_of
from tests.roles.lab import Machines
from tests.support import ROOT
from tests.support.machines import TOOLS
from tests.support.postgresql import Database, programs, started

FILES = ROOT / "roles" / "backup" / "files"
NAME = "backed-up"


# ------------------------------------------------------------------------------------------------ a real server
@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    if not (bin := programs()):
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    if not python_of("mlflow").exists():
        pytest.skip("no MLflow here: python3 -m stack.common.envs mlflow")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with started(bin, port, "mlflow", "secret-of-a-test") as found:
        found.ask("CREATE TABLE kept AS SELECT generate_series(1, 100) AS number")
        yield found


def backup(server: Database, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Lines of Python beside the role's program, which looks for programs below `folder`."""
    url = f"postgresql+psycopg2://{server.user}@127.0.0.1:{server.port}/postgres?sslmode=require"
    passwords = folder / "pgpass"
    passwords.write_text(f"*:*:*:*:{server.password}\n")
    passwords.chmod(0o600)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(FILES), "PGPASSFILE": str(passwords)}
    environment |= {"MLFLOW_BACKEND_STORE_URI": url, "AUTH_DATABASE_URI": url, "PYTHONDONTWRITEBYTECODE": "1"}
    begin = "from pathlib import Path\nfrom mlflow_backup import postgresql\nfrom mlflow_backup.__main__ import *\n"
    begin += f"postgresql.PROGRAMS = Path({str(folder)!r})\nurl = postgresql.databases()['mlflow']\n"
    begin += f"file = Path({str(folder / 'file.dump')!r})\n"
    command = [python_of("mlflow"), "-W", "ignore", "-c", begin + script]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def version(server: Database) -> int:
    return int(server.ask("SHOW server_version_num")) // 10000


def test_the_server_says_its_version(server: Database, tmp_path: Path) -> None:
    said = backup(server, tmp_path, "import sys\nsys.argv = ['', 'server']\nmain()")
    assert said.stdout == f"PostgreSQL {version(server)}\n", said.stderr


def test_programs_of_another_version_are_not_used(server: Database, tmp_path: Path) -> None:
    """Be they newer: what they write has settings that the server refuses on the way back."""
    other = version(server) + 1
    (tmp_path / str(other)).mkdir()
    (tmp_path / str(other) / "bin").symlink_to(server.bin)
    for script in ("postgresql.dump(url, file)", "postgresql.load(url, file)"):
        done = backup(server, tmp_path, script)
        assert done.returncode == 1
        assert f"PostgreSQL {version(server)} serves, and this machine has the programs of [{other}]." in done.stderr


def test_programs_of_the_servers_version_are_used_beside_others(server: Database, tmp_path: Path) -> None:
    """Another version is there, too, and its programs would fail."""
    (tmp_path / str(version(server))).mkdir()
    (tmp_path / str(version(server)) / "bin").symlink_to(server.bin)
    (tmp_path / "99" / "bin").mkdir(parents=True)
    script = "facts = postgresql.dump(url, file)\nprint(facts['tables'])\npostgresql.load(url, file)\n"
    script += "postgresql.compare(url, 'mlflow', facts['tables'])"
    done = backup(server, tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "{'kept': 100}"
    assert "100 rows in 1 tables, all as in the manifest" in done.stdout


# ------------------------------------------------------------------------------------------------ an archive of ours
def package(folder: Path) -> Path:
    """A package postgresql-18 that has a pg_dump."""
    tree = folder / "tree"
    binary = tree / "usr/lib/postgresql/18/bin/pg_dump"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 18.1'\n")
    binary.chmod(0o755)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: postgresql-18\nVersion: 18.1-1.pgdg13+1\nArchitecture: all\nMaintainer: a test <test@example.org>\n"
        "Description: of a test\n"
    )
    file = folder / "pool/postgresql-18_18.1-1.pgdg13+1_all.deb"
    file.parent.mkdir()
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", tree, file], check=True, capture_output=True)
    return file


def gpg(home: Path, *arguments: str, text: str = "") -> str:
    command = ["gpg", "--homedir", str(home), "--batch", "--yes", "--pinentry-mode=loopback", "--passphrase="]
    return subprocess.run([*command, *arguments], input=text, check=True, capture_output=True, text=True).stdout


def keyring(home: Path) -> Path:
    home.mkdir(mode=0o700)
    gpg(home, "--quick-generate-key", "archive of a test <test@example.org>", "ed25519", "sign", "never")
    (home / "public.asc").write_text(gpg(home, "--armor", "--export"))
    return home


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An apt archive with that package, signed: what `apt.postgresql.org` is, in small."""
    if missing := [name for name in ("gpg", "dpkg-deb") if not shutil.which(name)]:
        pytest.skip(f"not here: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("archive")
    folder.chmod(0o755)
    file, home = package(folder), keyring(folder / "keys")
    content = file.read_bytes()
    control = (folder / "tree/DEBIAN/control").read_text()
    entry = f"Filename: pool/{file.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    index = folder / "dists/trixie-pgdg/main/binary-amd64"
    index.mkdir(parents=True)
    listed = (control + entry + "\n").encode()
    (index / "Packages").write_bytes(listed)
    digest = hashlib.sha256(listed).hexdigest()
    release = "Origin: apt.postgresql.org\nLabel: PostgreSQL\nSuite: trixie-pgdg\nCodename: trixie-pgdg\n"
    release += "Architectures: amd64\nComponents: main\nDate: Thu, 26 Nov 2026 12:00:00 UTC\nSHA256:\n"
    release += f" {digest} {len(listed)} main/binary-amd64/Packages\n"
    (folder / "dists/trixie-pgdg/InRelease").write_text(gpg(home, "--clearsign", text=release))
    return folder


Play = Callable[..., str]


@pytest.fixture(scope="module")
def play(machines: Machines, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """The role's installation of a server's programs, on a bare Debian 13, by that archive."""
    machines("up", NAME, "--debian=13", f"--bind={archive}:/srv/pgdg")
    folder = tmp_path_factory.mktemp("backup")
    (folder / "inventory.yml").write_text(machines("inventory").stdout)
    step = {"name": "Programs", "ansible.builtin.include_role": {"name": "backup", "tasks_from": "postgresql"}}
    (folder / "play.yml").write_text(json.dumps([{"hosts": NAME, "become": True, "tasks": [step]}]))

    def played(key: Path, fails: bool = False) -> str:
        given = {
            "_backup_server": "18",
            "backup_postgresql_archive": "pgdg",
            "backup_postgresql_mirror": "file:/srv/pgdg",
        }
        given["backup_postgresql_key"] = key.read_text()
        options = [f"--inventory={folder}/inventory.yml", f"--extra-vars={json.dumps(given)}"]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(ROOT / "roles")}
        done = subprocess.run(
            [TOOLS / "ansible-playbook", *options, folder / "play.yml"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode != 0) == fails, done.stdout[-4000:] + done.stderr[-2000:]
        return done.stdout

    yield played
    machines("down", NAME)


@pytest.mark.verify
def test_an_archive_that_another_key_signs_is_refused(play: Play, archive: Path, tmp_path: Path) -> None:
    other = keyring(tmp_path / "other")
    said = play(other / "public.asc", fails=True)
    assert "file:/srv/pgdg trixie-pgdg InRelease" in said
    assert "is not signed" in said


@pytest.mark.verify
def test_programs_that_debian_lacks_come_from_postgresqls_own_archive(
    machines: Machines, play: Play, archive: Path
) -> None:
    play(archive / "keys/public.asc")
    assert machines("ssh", NAME, "/usr/lib/postgresql/18/bin/pg_dump").stdout == "pg_dump (PostgreSQL) 18.1\n"
    updated = machines("ssh", NAME, "apt-config dump Unattended-Upgrade::Origins-Pattern").stdout
    assert "origin=apt.postgresql.org" in updated
    assert "changed=0" in play(archive / "keys/public.asc")
