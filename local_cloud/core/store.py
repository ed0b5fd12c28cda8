"""Everything that must survive: resources, operations, bindings, tokens, payloads, job processes, events (SQLite)."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from local_cloud.core import schema
from local_cloud.core.errors import not_found
from local_cloud.core.resources import Row, belongs, status_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources(number INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, key TEXT NOT NULL,
    folder TEXT NOT NULL, parents TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL,
    created REAL NOT NULL, deleted REAL);
CREATE UNIQUE INDEX IF NOT EXISTS live ON resources(type, key) WHERE deleted IS NULL;
CREATE INDEX IF NOT EXISTS by_key ON resources(key);
CREATE TABLE IF NOT EXISTS operations(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    resource TEXT NOT NULL, method TEXT NOT NULL, subject TEXT NOT NULL, request BLOB NOT NULL, previous TEXT NOT NULL,
    data BLOB NOT NULL, done INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_resource ON operations(resource);
CREATE TABLE IF NOT EXISTS bindings(resource TEXT NOT NULL, role TEXT NOT NULL, type TEXT NOT NULL,
    subject TEXT NOT NULL, PRIMARY KEY(resource, role, type, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS begun(subject TEXT NOT NULL, key TEXT NOT NULL, operation TEXT NOT NULL, time REAL NOT NULL,
    PRIMARY KEY(subject, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links(source TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY(source, target)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens(hash TEXT PRIMARY KEY, subject TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payloads(version TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS processes(job TEXT PRIMARY KEY, pid INTEGER NOT NULL, started REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fault_uses(rule TEXT PRIMARY KEY, uses INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls(time REAL NOT NULL, subject TEXT NOT NULL, method TEXT NOT NULL,
    resource TEXT NOT NULL, code TEXT NOT NULL, milliseconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS changes(time REAL NOT NULL, type TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
    old TEXT NOT NULL, new TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS changes_of ON changes(key);
"""


class Store:
    """One SQLite file. Every method is safe to call from any thread; `transaction` groups several into one."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON", "busy_timeout=5000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else meanwhile."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def execute(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Run one statement and return its rows."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def insert(self, message: Message, key: str, folder: str, parents: dict[str, str]) -> Row:
        """Add a resource; the caller has checked that its key is free."""
        row = Row(0, message.DESCRIPTOR.full_name, key, folder, parents, message, time.time())
        with self.transaction():
            self.execute(
                "INSERT INTO resources(type, key, folder, parents, name, data, created) VALUES (?,?,?,?,?,?,?)",
                row.type,
                key,
                folder,
                json.dumps(parents),
                row.name,
                message.SerializeToString(),
                row.created,
            )
            row.number = self.execute("SELECT last_insert_rowid() AS number")[0]["number"]
            self._note(row, "", status_of(message) or "EXISTS")
        return row

    def save(self, row: Row) -> None:
        """Write a changed message back."""
        with self.transaction():
            before = self.execute("SELECT data FROM resources WHERE number = ?", row.number)[0]["data"]
            self.execute(
                "UPDATE resources SET name = ?, data = ? WHERE number = ?",
                row.name,
                row.message.SerializeToString(),
                row.number,
            )
            old, new = status_of(type(row.message).FromString(before)), status_of(row.message)
            if old != new:
                self._note(row, old, new)

    def delete(self, row: Row) -> None:
        """Mark a resource and what it contains as gone; the rows stay, for the account of what was used."""
        with self.transaction():
            for child in self.children(row.key):
                self.delete(child)
            self.execute("UPDATE resources SET deleted = ? WHERE number = ?", time.time(), row.number)
            self.execute("DELETE FROM bindings WHERE resource = ? OR subject = ?", row.key, row.key)
            self.execute("DELETE FROM links WHERE source = ? OR target = ?", row.key, row.key)
            self._note(row, status_of(row.message), "DELETED")

    def get(self, kind: str, key: str) -> Row:
        """The living resource of that type and key; raises NOT_FOUND."""
        rows = self._rows("type = ? AND key = ? AND deleted IS NULL", kind, key)
        if not rows:
            raise not_found(kind.rpartition(".")[2], key)
        return rows[0]

    def find(self, key: str) -> Row | None:
        """The living resource of whatever type that has this key."""
        return next(iter(self._rows("key = ? AND deleted IS NULL", key)), None)

    def select(self, kind: str, parents: Mapping[str, str] | None = None) -> list[Row]:
        """The living resources of a type, oldest first, that belong to all the given parents (`cluster_id`, …)."""
        rows = self._rows("type = ? AND deleted IS NULL ORDER BY number", kind)
        return [row for row in rows if all(belongs(row, name, value) for name, value in (parents or {}).items())]

    def children(self, key: str) -> list[Row]:
        """The living resources that have `key` among their parents."""
        rows = self._rows("deleted IS NULL AND parents LIKE ?", f'%"{key}"%')
        return [row for row in rows if key in row.parents.values()]

    def users(self, key: str) -> list[Row]:
        """The living resources that name this one anywhere in their description."""
        return [row for row in self._rows("deleted IS NULL AND instr(data, ?) > 0", key.encode()) if row.key != key]

    def linked(self, source: str) -> list[Row]:
        """The living resources that were linked to this one; a link goes with either of its ends."""
        rows = self.execute("SELECT target FROM links WHERE source = ?", source)
        return [row for each in rows if (row := self.find(each["target"]))]

    def link(self, source: str, target: str) -> None:
        self.execute("INSERT OR IGNORE INTO links VALUES (?,?)", source, target)

    def unlink(self, source: str, target: str) -> None:
        self.execute("DELETE FROM links WHERE source = ? AND target = ?", source, target)

    def history(self, kind: str) -> list[Row]:
        """Every resource of a type there ever was, oldest first."""
        return self._rows("type = ? ORDER BY number", kind)

    def _rows(self, condition: str, *values: Any) -> list[Row]:
        found = self.execute(f"SELECT * FROM resources WHERE {condition}", *values)
        return [_row(record) for record in found]

    def _note(self, row: Row, old: str, new: str) -> None:
        self.execute("INSERT INTO changes VALUES (?,?,?,?,?,?)", time.time(), row.type, row.key, row.name, old, new)


def _row(record: sqlite3.Row) -> Row:
    message = schema.new(schema.find_type(record["type"]))
    message.ParseFromString(record["data"])
    return Row(
        record["number"],
        record["type"],
        record["key"],
        record["folder"],
        json.loads(record["parents"]),
        message,
        record["created"],
        record["deleted"],
    )
