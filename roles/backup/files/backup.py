"""Backups of MLflow: both databases and an inventory of the artifacts, in a bucket; and back.

    backup.py make | list | verify | show-ID | restore-ID        ID: as `list` prints it, or `latest`

A backup is a folder named by its time (UTC), whose `manifest.json` is written last: without one it does not count.
Settings and secrets come from the unit (mlflow-backup@.service). Prints what it did, or says why it could not.
"""

import contextlib
import gzip
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg2
from botocore.config import Config
from psycopg2 import sql

BUCKET, PREFIX = os.environ["BACKUP_BUCKET"], os.environ["BACKUP_PREFIX"].strip("/")
BIN = Path(os.environ["POSTGRESQL_BIN"])
CREDENTIALS = Path(os.environ["CREDENTIALS_DIRECTORY"])
VERSION_TABLES = ("alembic_version", "alembic_version_auth")


def client(credentials: str, endpoint: str, region: str, ca: str) -> Any:
    """S3 in the name of the credential of that name (a file in AWS's format)."""
    lines = (CREDENTIALS / credentials).read_text().splitlines()
    key = dict(map(str.strip, line.split("=", 1)) for line in lines if "=" in line)
    config = Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return boto3.client("s3", endpoint_url=endpoint, region_name=region, verify=ca, config=config, **key)


def backups_store() -> Any:
    return client("backups", os.environ["BACKUP_ENDPOINT"], os.environ["BACKUP_REGION"], os.environ["BACKUP_CA"])


def databases() -> dict[str, str]:
    """Name in a backup -> libpq's address; the password comes from PGPASSFILE."""
    urls = {"mlflow": os.environ["MLFLOW_BACKEND_STORE_URI"], "mlflow_auth": os.environ["AUTH_DATABASE_URI"]}
    return {name: url.replace("postgresql+psycopg2:", "postgresql:") for name, url in urls.items()}


@contextlib.contextmanager
def connected(address: str, **session: Any) -> Iterator[Any]:
    """A cursor, whose connection is closed afterwards; `session`: arguments of psycopg2's `set_session`."""
    with contextlib.closing(psycopg2.connect(address)) as connection:
        connection.set_session(**session)
        with connection.cursor() as cursor:
            yield cursor


def ask(cursor: Any, statement: Any, *values: Any) -> list[tuple[Any, ...]]:
    cursor.execute(statement, values or None)
    return cursor.fetchall()


def count_rows(cursor: Any) -> dict[str, int]:
    """Rows of every table of the schema `public`."""
    tables = ask(cursor, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    count = sql.SQL("SELECT count(*) FROM public.{}")
    return {name: ask(cursor, count.format(sql.Identifier(name)))[0][0] for (name,) in tables}


def schema_of(cursor: Any) -> str:
    for table in VERSION_TABLES:
        if ask(cursor, "SELECT to_regclass(%s)", f"public.{table}")[0][0]:
            rows = ask(cursor, sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(table)))
            return rows[0][0] if rows else ""
    return ""


def program(name: str, *arguments: str, **more: Any) -> None:
    done = subprocess.run([BIN / name, *arguments], stderr=subprocess.PIPE, text=True, **more)
    if done.returncode:
        sys.exit(f"{name} failed with status {done.returncode}:\n{done.stderr.strip()[-2000:]}")


# ------------------------------------------------------------------------------------------------ make
def dump(url: str, file: Path) -> dict[str, Any]:
    """Dumps a database; rows are counted in the very snapshot that is dumped."""
    with connected(url, isolation_level="REPEATABLE READ", readonly=True) as cursor:
        server, ours = cursor.connection.server_version // 10000, int(BIN.parent.name)
        if server > ours:
            sys.exit(
                f"PostgreSQL {server} cannot be dumped by pg_dump {ours}: put MLflow on a Debian that brings "
                f"PostgreSQL {server} (Debian 13 has 17), or use a server of version {ours}."
            )
        snapshot = ask(cursor, "SELECT pg_export_snapshot()")[0][0]
        tables = count_rows(cursor)
        program("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={file}", url)
        return {"schema": schema_of(cursor), "tables": tables, "bytes": file.stat().st_size, "sha256": digest(file)}


def digest(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def artifacts() -> Iterator[dict[str, Any]]:
    """Every object below the artifacts' destination."""
    place = urlsplit(os.environ["ARTIFACTS"])
    store = client(
        "artifacts", os.environ["MLFLOW_S3_ENDPOINT_URL"], os.environ["AWS_DEFAULT_REGION"], os.environ["AWS_CA_BUNDLE"]
    )
    prefix = place.path.strip("/")
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=f"{prefix}/" if prefix else "")
    for page in pages:
        for item in page.get("Contents", ()):
            yield {"key": item["Key"], "bytes": item["Size"], "etag": item["ETag"].strip('"')}


def make() -> None:
    begun, store = time.monotonic(), backups_store()
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    manifest: dict[str, Any] = {"id": name, "mlflow": importlib.metadata.version("mlflow"), "databases": {}}
    with tempfile.TemporaryDirectory() as folder:
        for database, url in databases().items():
            file = Path(folder, f"{database}.dump")
            manifest["databases"][database] = dump(url, file)
            store.upload_file(str(file), BUCKET, f"{PREFIX}/{name}/{file.name}")
            file.unlink()
        inventory, objects, size = Path(folder, "artifacts.jsonl.gz"), 0, 0
        with gzip.open(inventory, "wt") as lines:
            for item in artifacts():
                objects, size = objects + 1, size + item["bytes"]
                lines.write(json.dumps(item) + "\n")
        manifest["artifacts"] = {"objects": objects, "bytes": size, "sha256": digest(inventory)}
        store.upload_file(str(inventory), BUCKET, f"{PREFIX}/{name}/{inventory.name}")
    store.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}/manifest.json", Body=json.dumps(manifest, indent=1).encode())
    say(manifest)
    print(f"changed: backup {name} made in {time.monotonic() - begun:.0f} s")
    prune(store)


def say(manifest: dict[str, Any]) -> None:
    for database, facts in manifest["databases"].items():
        rows = sum(facts["tables"].values())
        print(f"{manifest['id']} {database}: {rows} rows, {facts['bytes']} bytes, schema {facts['schema']}")
    inventory = manifest["artifacts"]
    print(f"{manifest['id']} artifacts: {inventory['objects']} objects, {inventory['bytes']} bytes")


# ------------------------------------------------------------------------------------------------ list, prune
def folders(store: Any) -> dict[str, bool]:
    """Id -> whether it is complete, oldest first."""
    found: dict[str, bool] = {}
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/"):
        for item in page.get("Contents", ()):
            name, _, file = item["Key"].removeprefix(f"{PREFIX}/").partition("/")
            found[name] = found.get(name, False) or file == "manifest.json"
    return dict(sorted(found.items()))


def prune(store: Any) -> None:
    """Keeps the newest BACKUP_KEEP complete backups, and what is newer than the oldest of them."""
    found = folders(store)
    complete = [name for name, whole in found.items() if whole]
    oldest = complete[-int(os.environ["BACKUP_KEEP"]) :][0]
    for name in found:
        if name < oldest:
            for page in store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/{name}/"):
                # The manifest goes first: a half-removed backup does not count.
                for item in sorted(page["Contents"], key=lambda item: not item["Key"].endswith("manifest.json")):
                    store.delete_object(Bucket=BUCKET, Key=item["Key"])
            print(f"changed: backup {name} removed, {os.environ['BACKUP_KEEP']} newer ones are kept")


def find(store: Any, name: str) -> dict[str, Any]:
    """The manifest of a backup."""
    complete = [key for key, whole in folders(store).items() if whole]
    if not complete or (name != "latest" and name not in complete):
        sys.exit(
            f"s3://{BUCKET}/{PREFIX} has no complete backup {name}; it has {', '.join(complete) or 'none at all'}."
        )
    name = complete[-1] if name == "latest" else name
    return json.load(store.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}/manifest.json")["Body"])


def fetch(store: Any, manifest: dict[str, Any], name: str, sha256: str, folder: str) -> Path:
    file = Path(folder, name)
    store.download_file(BUCKET, f"{PREFIX}/{manifest['id']}/{name}", str(file))
    if digest(file) != sha256:
        sys.exit(
            f"{name} of backup {manifest['id']} has SHA-256 {digest(file)}, its manifest says {sha256}: take another."
        )
    return file


# ------------------------------------------------------------------------------------------------ restore
def load(url: str, file: Path) -> None:
    """Replaces all that a database holds, in one transaction."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql", dir=file.parent) as clear:
        clear.write("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
        clear.flush()
        statements = file.with_suffix(".sql")
        program("pg_restore", "--no-owner", "--no-privileges", "--schema=public", f"--file={statements}", str(file))
        # The dump makes the schema too where it was made by other than PostgreSQL itself.
        text = statements.read_text().replace("CREATE SCHEMA public;", "")
        statements.write_text(text)
        options = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
        program("psql", *options, f"--file={clear.name}", f"--file={statements}", url, stdout=subprocess.DEVNULL)
        statements.unlink()


def compare(url: str, name: str, facts: dict[str, Any]) -> None:
    """Fails unless a database has exactly the rows that the manifest counted."""
    with connected(url) as cursor:
        rows = count_rows(cursor)
    wrong = {t: (rows.get(t), n) for t, n in facts["tables"].items() if rows.get(t) != n}
    if wrong:
        sys.exit(f"{name} restored: rows (got, expected) differ in {wrong}")
    print(f"{name}: {sum(rows.values())} rows in {len(rows)} tables, all as in the manifest")


def compare_artifacts(file: Path) -> None:
    """Fails if an artifact of the inventory is gone or another."""
    now = {item["key"]: item["etag"] for item in artifacts()}
    with gzip.open(file, "rt") as lines:
        wanted = [json.loads(line) for line in lines]
    wrong = [item["key"] for item in wanted if now.get(item["key"]) != item["etag"]]
    if wrong:
        sys.exit(
            f"{len(wrong)} of {len(wanted)} artifacts are missing or changed since the backup, the first {wrong[:5]}: "
            "bring their versions back in the bucket (object versioning keeps them)."
        )
    print(f"artifacts: all {len(wanted)} of the inventory are there, unchanged")


@contextlib.contextmanager
def throwaway_server() -> Iterator[str]:
    """An empty PostgreSQL on a Unix socket, with nothing to remember; yields the folder of its socket."""
    with tempfile.TemporaryDirectory() as folder:
        data, options = (
            f"{folder}/data",
            f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c jit=off",
        )
        program(
            "initdb",
            "--auth=trust",
            "--username=test",
            "--encoding=UTF8",
            f"--pgdata={data}",
            stdout=subprocess.DEVNULL,
        )
        program(
            "pg_ctl",
            "start",
            "-w",
            f"--pgdata={data}",
            f"--log={folder}/log",
            f"--options={options}",
            stdout=subprocess.DEVNULL,
        )
        try:
            yield folder
        finally:
            program("pg_ctl", "stop", "-m", "immediate", f"--pgdata={data}", stdout=subprocess.DEVNULL)


def verify() -> None:
    """Restores the newest backup into a throw-away server and counts."""
    begun, store = time.monotonic(), backups_store()
    manifest = find(store, "latest")
    with throwaway_server() as folder:
        for name, facts in manifest["databases"].items():
            address = f"host={folder} user=test dbname="
            with connected(address + "postgres", autocommit=True) as cursor:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            load(address + name, fetch(store, manifest, f"{name}.dump", facts["sha256"], folder))
            compare(address + name, name, facts)
        compare_artifacts(fetch(store, manifest, "artifacts.jsonl.gz", manifest["artifacts"]["sha256"], folder))
    print(f"backup {manifest['id']} restored as a test in {time.monotonic() - begun:.0f} s")


def restore(name: str) -> None:
    """Replaces both databases by those of a backup. MLflow must be stopped."""
    begun, store = time.monotonic(), backups_store()
    manifest = find(store, name)
    with tempfile.TemporaryDirectory() as folder:
        # All is fetched and checked before anything is replaced.
        files = {
            database: fetch(store, manifest, f"{database}.dump", facts["sha256"], folder)
            for database, facts in manifest["databases"].items()
        }
        inventory = fetch(store, manifest, "artifacts.jsonl.gz", manifest["artifacts"]["sha256"], folder)
        for database, url in databases().items():
            load(url, files[database])
            compare(url, database, manifest["databases"][database])
        print(f"changed: backup {manifest['id']} restored in {time.monotonic() - begun:.0f} s")
        compare_artifacts(inventory)


def show(name: str) -> None:
    """What a restore would replace: rows now and rows in the backup."""
    manifest = find(backups_store(), name)
    print(f"backup {manifest['id']} of MLflow {manifest['mlflow']}")
    for database, url in databases().items():
        with connected(url) as cursor:
            now, then = count_rows(cursor), manifest["databases"][database]["tables"]
        for table in sorted(now.keys() | then.keys()):
            if now.get(table) != then.get(table):
                print(f"{database}.{table}: {now.get(table, 'no such table')} rows now, {then.get(table, 'none')} then")
        print(f"{database}: {sum(now.values())} rows now, {sum(then.values())} rows then")


def main() -> None:
    verb, _, name = sys.argv[1].partition("-")
    if verb == "list":
        for key, whole in folders(backups_store()).items():
            print(key, "complete" if whole else "incomplete: does not count")
    elif verb in ("show", "restore") and name:
        {"show": show, "restore": restore}[verb](name)
    elif verb in ("make", "verify") and not name:
        {"make": make, "verify": verify}[verb]()
    else:
        sys.exit(f"`{sys.argv[1]}` is not known; expected make, list, verify, show-ID or restore-ID")


if __name__ == "__main__":
    main()
