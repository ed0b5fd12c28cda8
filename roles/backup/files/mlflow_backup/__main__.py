"""python -m mlflow_backup make | list | verify | server | show-ID | restore-ID     ID: as `list` prints it, or `latest`

Prints what it did, or says why it could not.
"""

import contextlib
import gzip
import importlib.metadata
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow_backup import postgresql
from mlflow_backup.bucket import Backups, artifacts, digest


def make() -> None:
    """Dumps both databases, lists the artifacts, and removes backups beyond those to keep."""
    begun, backups = time.monotonic(), Backups()
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    manifest: dict[str, Any] = {"id": name, "mlflow": importlib.metadata.version("mlflow"), "databases": {}}
    with tempfile.TemporaryDirectory() as folder:
        for database, url in postgresql.databases().items():
            file = Path(folder, f"{database}.dump")
            manifest["databases"][database] = postgresql.dump(url, file) | {"sha256": digest(file)}
            backups.upload(name, file)
            file.unlink()
        inventory, objects, size = Path(folder, "artifacts.jsonl.gz"), 0, 0
        with gzip.open(inventory, "wt") as lines:
            for item in artifacts():
                objects, size = objects + 1, size + item["bytes"]
                lines.write(json.dumps(item) + "\n")
        manifest["artifacts"] = {"objects": objects, "bytes": size, "sha256": digest(inventory)}
        backups.upload(name, inventory)
    backups.complete(manifest)
    describe(manifest)
    print(f"changed: backup {name} made in {time.monotonic() - begun:.0f} s")
    backups.prune()


def describe(manifest: dict[str, Any]) -> None:
    for database, facts in manifest["databases"].items():
        rows = sum(facts["tables"].values())
        print(f"{manifest['id']} {database}: {rows} rows, {facts['bytes']} bytes, schema {facts['schema']}")
    inventory = manifest["artifacts"]
    print(f"{manifest['id']} artifacts: {inventory['objects']} objects, {inventory['bytes']} bytes")


@contextlib.contextmanager
def fetched(backups: Backups, manifest: dict[str, Any]) -> Iterator[tuple[dict[str, Path], Path]]:
    """The dumps by database and the inventory of artifacts, each checked, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        dumps = {
            database: backups.fetch(manifest["id"], f"{database}.dump", facts["sha256"], folder)
            for database, facts in manifest["databases"].items()
        }
        yield dumps, backups.fetch(manifest["id"], "artifacts.jsonl.gz", manifest["artifacts"]["sha256"], folder)


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


def verify() -> None:
    """Restores the newest backup into a throw-away server and counts."""
    begun, backups = time.monotonic(), Backups()
    manifest = backups.find("latest")
    with fetched(backups, manifest) as (dumps, inventory), postgresql.throwaway_server() as server:
        for name, facts in manifest["databases"].items():
            url = server.create(name)
            postgresql.load(url, dumps[name])
            postgresql.compare(url, name, facts["tables"])
        compare_artifacts(inventory)
    print(f"backup {manifest['id']} restored as a test in {time.monotonic() - begun:.0f} s")


def restore(name: str) -> None:
    """Replaces both databases by those of a backup. MLflow must be stopped."""
    begun, backups = time.monotonic(), Backups()
    manifest = backups.find(name)
    # All is fetched and checked before anything is replaced.
    with fetched(backups, manifest) as (dumps, inventory):
        for database, url in postgresql.databases().items():
            postgresql.load(url, dumps[database])
            postgresql.compare(url, database, manifest["databases"][database]["tables"])
        print(f"changed: backup {manifest['id']} restored in {time.monotonic() - begun:.0f} s")
        compare_artifacts(inventory)


def show(name: str) -> None:
    """What a restore would replace: rows now and rows in the backup."""
    manifest = Backups().find(name)
    print(f"backup {manifest['id']} of MLflow {manifest['mlflow']}")
    for database, url in postgresql.databases().items():
        with postgresql.connect(url) as connection:
            now, then = postgresql.count_rows(connection), manifest["databases"][database]["tables"]
        for table in sorted(now.keys() | then.keys()):
            if now.get(table) != then.get(table):
                print(f"{database}.{table}: {now.get(table, 'no such table')} rows now, {then.get(table, 'none')} then")
        print(f"{database}: {sum(now.values())} rows now, {sum(then.values())} rows then")


def list_backups() -> None:
    for name, complete in Backups().folders().items():
        print(name, "complete" if complete else "incomplete: does not count")


def server() -> None:
    """Prints `PostgreSQL 17`, which is what a backup needs the programs of."""
    for version in sorted(set(postgresql.server_versions().values())):
        print(f"PostgreSQL {version}")


def main() -> None:
    verb, _, name = sys.argv[1].partition("-")
    of_one, of_all = {"show": show, "restore": restore}, {"make": make, "verify": verify, "list": list_backups}
    of_all["server"] = server
    if verb in of_one and name:
        of_one[verb](name)
    elif verb in of_all and not name:
        of_all[verb]()
    else:
        sys.exit(f"`{sys.argv[1]}` is not known; expected make, list, verify, server, show-ID or restore-ID")


if __name__ == "__main__":
    main()
