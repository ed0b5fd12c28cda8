"""Networks and what is in them: refused while in use, addresses with a value, rules with ids."""

import ipaddress
from collections.abc import Callable, Mapping

from google.protobuf.message import Message
from yandex.cloud.vpc.v1 import address_pb2, security_group_pb2

from local_cloud.core import schema
from local_cloud.core.calls import Begun, Call, Handler, Verb, Work
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import new_id, timestamp
from local_cloud.services.base import Service
from local_cloud.services.vpc import checks, errors
from local_cloud.services.vpc.models import ADDRESS, HOLDINGS, NETWORK, SECURITY_GROUP, complete

_VPC = "yandex.cloud.vpc.v1"
# Public addresses are made up of this range.
_PUBLIC = ipaddress.IPv4Network("51.250.0.0/17")


class Vpc(Service):
    def handlers(self) -> Mapping[str, Handler]:
        shared = self.resources
        unused = Verb(self._begin_delete, shared.finish_delete, shared.undo_change)
        kinds = ("Network", "Subnet", "SecurityGroup", "RouteTable", "Gateway")
        return {
            **{f"{_VPC}.{kind}Service/Delete": unused for kind in kinds},
            f"{_VPC}.NetworkService/Create": Verb(self._create_network, shared.finish, shared.undo_create),
            f"{_VPC}.NetworkService/Delete": Verb(self._begin_delete, self._delete_network, shared.undo_change),
            f"{_VPC}.SecurityGroupService/Create": Verb(self._create_group, shared.finish, shared.undo_create),
            f"{_VPC}.SecurityGroupService/Update": Verb(
                shared.begin_update, self._finish_group_update, shared.undo_change
            ),
            f"{_VPC}.SecurityGroupService/UpdateRules": Verb(self._begin_rules, self._finish_rules, shared.undo_change),
            f"{_VPC}.AddressService/Create": Verb(self._create_address, shared.finish, shared.undo_create),
            f"{_VPC}.AddressService/Delete": Verb(self._begin_address_delete, shared.finish_delete, shared.undo_change),
        }

    def checks(self) -> Mapping[str, Callable[[Call], None]]:
        return {
            f"{_VPC}.SubnetService/Create": lambda call: checks.check_subnet(self.store, call.request),
            f"{_VPC}.SecurityGroupService/Create": self._check_group,
            f"{_VPC}.SecurityGroupService/Update": lambda call: self._check_rules(call, "rule_specs"),
            f"{_VPC}.SecurityGroupService/UpdateRules": lambda call: self._check_rules(call, "addition_rule_specs"),
            f"{_VPC}.RouteTableService/Create": self._check_table,
            f"{_VPC}.RouteTableService/Update": lambda call: checks.check_routes(
                self.store, call.request.static_routes
            ),
        }

    def holdings(self) -> Mapping[str, Holding]:
        return HOLDINGS

    def _check_group(self, call: Call) -> None:
        self.store.get(NETWORK, call.request.network_id)
        checks.check_rules(self.store, call.request.rule_specs, call.request.network_id, "rule_specs")

    def _check_rules(self, call: Call, field: str) -> None:
        group = self.store.get(SECURITY_GROUP, call.request.security_group_id)
        checks.check_rules(self.store, getattr(call.request, field), group.message.network_id, field)

    def _check_table(self, call: Call) -> None:
        self.store.get(NETWORK, call.request.network_id)
        checks.check_routes(self.store, call.request.static_routes)

    def _begin_delete(self, call: Call) -> Begun:
        row = self.resources.named(call)
        own = getattr(row.message, "default_security_group_id", "")
        if users := [user for user in self.store.users(row.key) if user.key != own]:
            raise errors.in_use(row, users)
        return self.resources.begin_delete(call)

    def _create_network(self, call: Call) -> Begun:
        """A network comes with a security group, which goes with it."""
        row = self.resources.create(call)
        group = security_group_pb2.SecurityGroup(
            id=new_id(_VPC),
            folder_id=row.folder,
            network_id=row.key,
            name=f"default-sg-{row.key}",
            description="Default security group for network",
            status=security_group_pb2.SecurityGroup.ACTIVE,
            default_for_network=True,
        )
        group.created_at.CopyFrom(timestamp())
        for direction in (security_group_pb2.SecurityGroupRule.INGRESS, security_group_pb2.SecurityGroupRule.EGRESS):
            rule = group.rules.add(direction=direction)
            rule.cidr_blocks.v4_cidr_blocks.append("0.0.0.0/0")
        complete(group.rules)
        self.store.insert(group, group.id, row.folder, {})
        row.message.default_security_group_id = group.id
        self.store.save(row)
        return Begun(row)

    def _delete_network(self, work: Work) -> Message:
        with self.store.transaction():
            if own := self.store.find(self.resources.current(work).message.default_security_group_id):
                self.store.delete(own)
            return self.resources.finish_delete(work)

    def _create_group(self, call: Call) -> Begun:
        row = self.resources.create(call)
        complete(row.message.rules)
        self.store.save(row)
        return Begun(row)

    def _finish_group_update(self, work: Work) -> Message:
        with self.store.transaction():
            self.resources.finish_update(work)
            row = self.resources.current(work)
            complete(row.message.rules)
            self.store.save(row)
        message: Message = row.message
        return message

    def _begin_rules(self, call: Call) -> Begun:
        row = self.store.get(SECURITY_GROUP, call.request.security_group_id)
        known = {rule.id for rule in row.message.rules}
        for rule in call.request.deletion_rule_ids:
            if rule not in known:
                raise errors.rule_not_found(row.key, rule)
        return self.resources.begin_change(call)

    def _finish_rules(self, work: Work) -> Message:
        request = work.call.request
        with self.store.transaction():
            row = self.store.get(SECURITY_GROUP, work.resource)
            kept = [rule for rule in row.message.rules if rule.id not in request.deletion_rule_ids]
            del row.message.rules[:]
            row.message.rules.extend(kept)
            for specification in request.addition_rule_specs:
                schema.merge(specification, row.message.rules.add())
            complete(row.message.rules)
            self.store.save(row)
        return self.resources.finish(work)

    def _create_address(self, call: Call) -> Begun:
        row = self.resources.create(call)
        message = row.message
        taken = {other.message.external_ipv4_address.address for other in self.store.select(ADDRESS)} - {""}
        if message.HasField("external_ipv4_address"):
            wanted = call.request.external_ipv4_address_spec.address
            if wanted in taken:
                raise errors.address_taken(wanted)
            message.type = address_pb2.Address.EXTERNAL
            message.external_ipv4_address.address = wanted or next(
                str(host) for host in _PUBLIC.hosts() if str(host) not in taken
            )
        message.ip_version, message.reserved = address_pb2.Address.IPV4, True
        self.store.save(row)
        return Begun(row)

    def _begin_address_delete(self, call: Call) -> Begun:
        row = self.resources.named(call)
        begun = self.resources.begin_delete(call)
        if row.message.used:
            value = row.message.external_ipv4_address.address
            raise errors.address_in_use(row, value, [user for user in self.store.users(value) if user.key != row.key])
        return begun
