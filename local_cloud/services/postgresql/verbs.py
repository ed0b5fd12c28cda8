"""A cluster has hosts, which count against quotas of the managed databases' own, users and databases."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.context import Context, Site
from local_cloud.core.errors import ApiError
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, belongs
from local_cloud.services.base import Finish, Service, on_host
from local_cloud.services.generic.errors import is_protected as protected
from local_cloud.services.generic.models import apply_paths, is_protected, response
from local_cloud.services.postgresql import checks, errors
from local_cloud.services.postgresql.models import (
    CLUSTER,
    DATABASE,
    HOLDINGS,
    HOST,
    USER,
    complete,
    new_database,
    new_host,
    new_user,
    size_of,
)
from local_cloud.services.postgresql.server import Servers

_POSTGRESQL = "yandex.cloud.mdb.postgresql.v1"
_CLUSTERS, _USERS, _DATABASES = (f"{_POSTGRESQL}.{name}Service" for name in ("Cluster", "User", "Database"))


class Postgresql(Service):
    def __init__(self, context: Context, site: Site) -> None:
        super().__init__(context, site)
        self._servers = Servers(context.lab, site) if context.lab else None

    def handlers(self) -> Mapping[str, Handler]:
        shared, of_cluster, ending = self.resources, self._of_cluster, self._ending
        return {
            f"{_CLUSTERS}/Create": Verb(self._create, of_cluster(self._make, shared.finish), self._undo_create),
            f"{_CLUSTERS}/Update": Verb(shared.begin_update, self._finish_update, shared.undo_change),
            f"{_CLUSTERS}/Start": Verb(shared.begin_change, of_cluster(Servers.up, shared.finish), shared.undo_change),
            f"{_CLUSTERS}/Stop": Verb(shared.begin_change, of_cluster(Servers.stop, shared.finish), shared.undo_change),
            f"{_CLUSTERS}/Delete": Verb(
                shared.begin_delete, of_cluster(Servers.remove, shared.finish_delete), shared.undo_change
            ),
            f"{_CLUSTERS}/AddHosts": Verb(self._add_hosts, self._done),
            f"{_CLUSTERS}/UpdateHosts": Verb(self._update_hosts, self._done),
            f"{_CLUSTERS}/DeleteHosts": Verb(self._delete_hosts, self._done),
            f"{_USERS}/Create": Verb(self._create_user, ending(self._put_user, self._part), shared.undo_create),
            f"{_USERS}/Update": Verb(self._update_user, ending(self._put_user, self._part)),
            f"{_USERS}/Delete": Verb(
                self._begin_user_delete, ending(self._remove_user, shared.finish_delete), shared.undo_change
            ),
            f"{_DATABASES}/Create": Verb(
                self._create_database, ending(self._put_database, self._part), shared.undo_create
            ),
            f"{_DATABASES}/Update": Verb(self._update_database, ending(self._put_database, self._part)),
            f"{_DATABASES}/Delete": Verb(
                shared.begin_delete, ending(self._remove_database, shared.finish_delete), shared.undo_change
            ),
        }

    def resume(self) -> None:
        """Servers that should run do."""
        if self._servers:
            for row in self.running(CLUSTER):
                self._servers.up(row)

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {
            f"{_CLUSTERS}/Create": lambda call: checks.check_cluster(call.request),
            f"{_CLUSTERS}/Update": self._check_update,
            f"{_USERS}/Create": lambda call: checks.check_user(call.request.user_spec),
        }

    def holdings(self) -> Mapping[str, Holding]:
        return HOLDINGS

    # ---------------------------------------------------------------------------- servers of this host
    def _ending(self, act: Callable[[Servers, Work], None], finish: Finish) -> Finish:
        return on_host(self._servers, act, finish)

    def _of_cluster(self, act: Callable[[Servers, Row], None], finish: Finish) -> Finish:
        return self._ending(lambda servers, work: act(servers, self.store.get(CLUSTER, work.resource)), finish)

    def _make(self, servers: Servers, cluster: Row) -> None:
        hosts = [each.message.name for each in self._of(cluster, HOST)]
        servers.make(cluster, hosts, len(self.store.select(CLUSTER)) - 1)

    def _undo_create(self, work: Work, error: ApiError) -> None:
        if self._servers:
            self._servers.remove(self.store.get(CLUSTER, work.resource))
        self.resources.undo_create(work, error)

    def _put_user(self, servers: Servers, work: Work) -> None:
        request = work.call.request
        password = getattr(request, "password", "") or getattr(getattr(request, "user_spec", None), "password", "")
        servers.put_user(self._cluster(work), self.resources.current(work).message, password)

    def _remove_user(self, servers: Servers, work: Work) -> None:
        servers.remove_user(self._cluster(work), work.call.request.user_name)

    def _put_database(self, servers: Servers, work: Work) -> None:
        servers.put_database(self._cluster(work), self.resources.current(work).message)

    def _remove_database(self, servers: Servers, work: Work) -> None:
        servers.remove_database(self._cluster(work), work.call.request.database_name)

    def _cluster(self, work: Work) -> Row:
        return self.store.get(CLUSTER, work.call.request.cluster_id)

    # ---------------------------------------------------------------------------- clusters and hosts
    def _create(self, call: Call) -> Begun:
        if self._servers:
            self._servers.check(call.request.config_spec.version, len(call.request.host_specs))
        row = self.resources.create(call)
        complete(row.message)
        self.store.save(row)
        self._insert_hosts(row, call.request.host_specs)
        for user in call.request.user_specs:
            self._insert(row, USER, new_user(row, user))
        for database in call.request.database_specs:
            self._insert(row, DATABASE, new_database(row, database))
        return Begun(row)

    def _insert_hosts(self, row: Row, specifications: Any) -> None:
        there = len(self._of(row, HOST))
        resources = row.message.config.resources
        made = [new_host(row, resources, each, first=there == n == 0) for n, each in enumerate(specifications)]
        self.add_parts(row, HOST, {host.name: host for host in made}, errors.not_enough_quota)

    def _check_update(self, call: Call) -> None:
        specification = call.request.config_spec
        checks.check_version(specification.version)
        hosts = self._of(self.store.get(CLUSTER, call.request.cluster_id), HOST)
        checks.check_resources(specification.resources, len(hosts))
        for host in hosts:
            size = specification.resources.disk_size
            if size and size < host.message.resources.disk_size:
                raise errors.disk_shrinks(size, host.message.resources.disk_size)

    def _finish_update(self, work: Work) -> Message:
        """Its hosts are of the size that the cluster has now."""
        with self.store.transaction():
            answer: Any = self.resources.finish_update(work)
            row = self.resources.current(work)
            for host in self._of(row, HOST):
                host.message.resources.CopyFrom(row.message.config.resources)
                self.store.save(host)
        return answer

    def _add_hosts(self, call: Call) -> Begun:
        row = self._running(call)
        if self._servers:
            raise errors.one_host(1 + len(call.request.host_specs))
        self._insert_hosts(row, call.request.host_specs)
        return Begun(row)

    def _update_hosts(self, call: Call) -> Begun:
        row = self._running(call)
        for specification in call.request.update_host_specs:
            host = self._host(row, specification.host_name)
            apply_paths(specification, specification.update_mask.paths, host.message)
            self.store.save(host)
        return Begun(row)

    def _delete_hosts(self, call: Call) -> Begun:
        row = self._running(call)
        gone = [self._host(row, name) for name in call.request.host_names]
        if len(gone) >= len(self._of(row, HOST)):
            raise errors.last_host(row)
        for host in gone:
            self.store.delete(host)
        return Begun(row)

    def _host(self, cluster: Row, name: str) -> Row:
        host = self.store.get(HOST, name)
        if not belongs(host, "cluster_id", cluster.key):
            raise errors.host_of_another(cluster, name)
        return host

    # ---------------------------------------------------------------------------- users and databases
    def _create_user(self, call: Call) -> Begun:
        row = self._running(call)
        user = new_user(row, call.request.user_spec)
        self._check_connections(row, user)
        return Begun(self._insert(row, USER, user))

    def _update_user(self, call: Call) -> Begun:
        row, request = self._running(call), call.request
        user = self._named(row, USER, request.user_name)
        paths = [path for path in request.update_mask.paths if path != "password"]
        if "password" in request.update_mask.paths:
            checks.check_password(request.user_name, request.password)
        apply_paths(request, paths, user.message)
        self._check_connections(row, user.message)
        self.store.save(user)
        return Begun(user)

    def _begin_user_delete(self, call: Call) -> Begun:
        row = self._running(call)
        owned = [each.name for each in self._of(row, DATABASE) if each.message.owner == call.request.user_name]
        user = self._named(row, USER, call.request.user_name)
        if is_protected(user.message):
            raise protected(user)
        if owned:
            raise errors.owner(user, owned)
        return self.resources.begin_delete(call)

    def _create_database(self, call: Call) -> Begun:
        row, specification = self._running(call), call.request.database_spec
        self._named(row, USER, specification.owner)
        return Begun(self._insert(row, DATABASE, new_database(row, specification)))

    def _update_database(self, call: Call) -> Begun:
        """The mask may name the database itself, which is no change."""
        row, request = self._running(call), call.request
        database = self._named(row, DATABASE, request.database_name)
        keys = ("cluster_id", "database_name", "new_database_name")
        apply_paths(request, [path for path in request.update_mask.paths if path not in keys], database.message)
        if request.new_database_name:
            raise errors.renamed(request.database_name)
        self.store.save(database)
        return Begun(database)

    def _check_connections(self, cluster: Row, user: Any) -> None:
        """The limits of all users together fit into what the server has, or FAILED_PRECONDITION."""
        others = [each.message for each in self._of(cluster, USER) if each.name != user.name]
        asked = sum(each.conn_limit for each in [user, *others])
        cores, _ = size_of(cluster.message.config.resources.resource_preset_id)
        if cores and asked > (most := 200 * cores - 15):
            raise errors.connections(asked, most)

    def _insert(self, cluster: Row, kind: str, part: Any) -> Row:
        if any(each.name == part.name for each in self._of(cluster, kind)):
            raise errors.name_taken(kind, part.name, cluster)
        parents = {"cluster_id": cluster.key}
        return self.store.insert(part, f"{cluster.key}/{part.name}", cluster.folder, parents)

    def _named(self, cluster: Row, kind: str, name: str) -> Row:
        return self.store.get(kind, f"{cluster.key}/{name}")

    def _of(self, cluster: Row, kind: str) -> list[Row]:
        return self.store.select(kind, {"cluster_id": cluster.key})

    def _running(self, call: Call) -> Row:
        row = self.store.get(CLUSTER, call.request.cluster_id)
        if row.message.status != type(row.message).RUNNING:
            raise errors.not_running(row)
        return row

    def _part(self, work: Work) -> Message:
        return response(work.call.method, self.resources.current(work).message)

    def _done(self, work: Work) -> Message:
        return response(work.call.method, self.store.get(CLUSTER, work.resource).message)
