"""Who calls, and what he may do: IAM tokens, signed JWTs of service accounts, roles bound on folders and resources."""

import fnmatch
import functools
import hashlib
import json
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from yandex.cloud.access import access_pb2

from local_cloud.core.config import Config, ServiceAccount
from local_cloud.core.errors import denied, unauthenticated
from local_cloud.core.resources import Row
from local_cloud.core.store import Store

ACCOUNT_TYPE, KEY_TYPE = "yandex.cloud.iam.v1.ServiceAccount", "yandex.cloud.iam.v1.Key"
_TABLE = json.loads((Path(__file__).parent / "roles.json").read_text())
_ROLES: dict[str, dict[str, list[str]]] = _TABLE["roles"]
# The folder of the images that everybody may use.
PUBLIC_IMAGES = "standard-images"
# Roles that contain nearly everything are a poor advice in an error message.
_BROAD = ("admin", "editor", "viewer")
# Seconds for which an expired token is still told from one that never was.
_KEEP_EXPIRED = 24 * 3600.0


@functools.cache
def allows(role: str, permission: str) -> bool:
    """Whether the role covers a method's full name or a `use:` permission; an unknown role covers nothing."""
    entry = _ROLES.get(role, {"allow": []})
    return _matches(entry["allow"], permission) and not _matches(entry.get("except", ()), permission)


def _matches(patterns: Iterable[str], permission: str) -> bool:
    return any(fnmatch.fnmatchcase(permission, pattern) for pattern in patterns)


def uses_of(method: str, request: Any) -> list[tuple[str, str]]:
    """What a caller needs besides, as the request makes use of an account or a subnet: permission, and on which."""
    if not _matches(_TABLE["uses"]["methods"], method) or not method.endswith(("/Create", "/Update")):
        return []
    fields = _TABLE["uses"]["fields"]
    return sorted({(fields[name], key) for name, key in _texts(request) if name in fields})


def _texts(message: Any) -> Iterator[tuple[str, str]]:
    """The names of all fields of text that are set, also within, each with its values."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else (value,)
        if field.type == field.TYPE_STRING:
            yield from ((field.name, each) for each in values)
        elif field.message_type and not field.message_type.GetOptions().map_entry:
            for inner in values:
                yield from _texts(inner)


def is_public(method: str) -> bool:
    """Methods that need no token: they make tokens, take them back, or tell addresses."""
    return _matches(_TABLE["public"], method)


def audiences(grpc_address: str) -> list[str]:
    """The audiences of a service account's JWT: the cloud's, and the one that the SDK derives from our own address."""
    port = grpc_address.rpartition(":")[2]
    hosts = ("api.cloud.yandex.net", f"localhost:{port}", f"127.0.0.1:{port}")
    return [f"https://iam.{host}/iam/v1/tokens" for host in hosts]


@dataclass(frozen=True)
class Scope:
    """What a call is about: a folder, and in it a resource, unless that does not exist (yet)."""

    folder: str
    resource: Row | None = None


class Identity:
    """Tokens and rights. A token is random, kept as a hash, and forgotten a day after it has expired."""

    def __init__(self, config: Config, store: Store, audiences: Collection[str]) -> None:
        self._config = config
        self._store = store
        self._audiences = list(audiences)
        self._accounts: Mapping[str, ServiceAccount] = {
            account.id: account for account in config.service_accounts.values()
        }

    def issue(self, subject: str) -> tuple[str, float]:
        """A new token and the UNIX time when it expires."""
        token = f"t1.{secrets.token_urlsafe(32)}.{secrets.token_urlsafe(64)}"
        expires = time.time() + self._config.token_seconds
        self._store.execute("DELETE FROM tokens WHERE expires < ?", time.time() - _KEEP_EXPIRED)
        self._store.execute("INSERT INTO tokens VALUES (?,?,?)", token_hash(token), subject, expires)
        return token, expires

    def revoke(self, token: str) -> str:
        """Forget a token; returns whose it was."""
        subject = self.subject_of(f"Bearer {token}")
        self._store.execute("DELETE FROM tokens WHERE hash = ?", token_hash(token))
        return subject

    def subject_of(self, authorization: str) -> str:
        """The id of the account that an Authorization header's token was issued to; raises UNAUTHENTICATED."""
        scheme, _, token = authorization.partition(" ")
        if not token:
            raise unauthenticated("The call has no IAM token: send the header 'Authorization: Bearer <IAM token>'")
        rows = self._store.execute("SELECT subject, expires FROM tokens WHERE hash = ?", token_hash(token))
        if scheme.lower() != "bearer" or not rows:
            raise unauthenticated("The IAM token is invalid: it was not issued by this endpoint, or it was revoked")
        if rows[0]["expires"] < time.time():
            raise unauthenticated(
                f"The IAM token has expired {time.time() - rows[0]['expires']:.0f} s ago; get a new one"
            )
        return str(rows[0]["subject"])

    def verify_jwt(self, token: str) -> str:
        """The id of the account that signed this JWT (PS256); raises UNAUTHENTICATED with the reason."""
        try:
            key_id = jwt.get_unverified_header(token).get("kid", "")
            issuer, public_key = self._key(key_id)
            claims = jwt.decode(
                token,
                public_key,
                algorithms=["PS256"],
                audience=self._audiences,
                issuer=issuer,
                options={"require": ["iss", "aud", "iat", "exp"]},
                leeway=30,
            )
        except jwt.PyJWTError as error:
            raise unauthenticated(f"The JWT is refused: {error}; accepted audiences are {self._audiences}") from error
        return str(claims["iss"])

    def _key(self, key_id: str) -> tuple[str, str]:
        for account in self._accounts.values():
            if account.key is not None and account.key.id == key_id:
                return account.id, account.key.public_key
        row = self._store.find(key_id)
        if row is not None and row.type == KEY_TYPE and self._store.find(row.message.service_account_id):
            return row.message.service_account_id, row.message.public_key
        raise unauthenticated(
            f"The JWT is refused: no service account has the authorised key {key_id!r} (header 'kid')"
        )

    def bindings(self, resource: str) -> list[Any]:
        """The access bindings of one resource, in a stable order."""
        rows = self._store.execute("SELECT * FROM bindings WHERE resource = ? ORDER BY role, subject", resource)
        subjects = [access_pb2.Subject(id=row["subject"], type=row["type"]) for row in rows]
        return [access_pb2.AccessBinding(role_id=row["role"], subject=s) for row, s in zip(rows, subjects, strict=True)]

    def bind(self, resource: str, bindings: Iterable[Any]) -> None:
        """Replace the access bindings of one resource."""
        with self._store.transaction():
            self._store.execute("DELETE FROM bindings WHERE resource = ?", resource)
            for binding in bindings:
                self._store.execute(
                    "INSERT OR IGNORE INTO bindings VALUES (?,?,?,?)",
                    resource,
                    binding.role_id,
                    binding.subject.type,
                    binding.subject.id,
                )

    def roles(self, subject: str, resources: Collection[str]) -> set[str]:
        """The roles that a subject has on any of these resources (one, its parents, its folder, its cloud)."""
        account = self._accounts.get(subject)
        roles = set(account.roles) if account and self._config.folder_id in resources else set()
        if PUBLIC_IMAGES in resources:
            roles.add("viewer")
        marks = ",".join("?" * len(resources))
        rows = self._store.execute(
            f"SELECT role FROM bindings WHERE subject = ? AND resource IN ({marks})", subject, *resources
        )
        return roles | {row["role"] for row in rows}

    def authorise(self, subject: str, permissions: Iterable[str], scope: Scope) -> None:
        """Raises PERMISSION_DENIED that names the role needed, the subject and the folder."""
        roles = self.roles(subject, self._resources_of(scope))
        for permission in permissions:
            if not any(allows(role, permission) for role in roles):
                raise denied(
                    f"Permission denied: {self.describe(subject)} needs the role {needed(permission)}"
                    f" on folder {scope.folder!r} for {permission}; it has {sorted(roles) or 'no role there'}"
                )

    def _resources_of(self, scope: Scope) -> set[str]:
        """The ids on which a role counts in this scope: the resource, its parents, the folder, the folder's cloud."""
        ids = {scope.folder}
        if (folder := self._store.find(scope.folder)) is not None:
            ids.add(folder.message.cloud_id)
        if scope.resource is not None:
            ids |= {scope.resource.key, *scope.resource.parents.values()}
        return ids

    def describe(self, subject: str) -> str:
        """A service account's id and name."""
        row = self._store.find(subject)
        return f"service account {subject}" + (f" ({row.name})" if row is not None else "")


def needed(permission: str) -> str:
    """The narrowest role of the table that covers a permission."""
    narrow = [role for role in _ROLES if role not in _BROAD and allows(role, permission)]
    return narrow[0] if narrow else next(role for role in reversed(_BROAD) if allows(role, permission))


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
