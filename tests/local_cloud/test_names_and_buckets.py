"""What Terraform asks besides: record sets, buckets with rights, keys with versions, hosts and users of a database."""

from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.access import access_pb2
from yandex.cloud.dns.v1 import dns_zone_pb2, dns_zone_service_pb2
from yandex.cloud.dns.v1.dns_zone_service_pb2_grpc import DnsZoneServiceStub
from yandex.cloud.kms.v1 import symmetric_key_pb2, symmetric_key_service_pb2
from yandex.cloud.kms.v1.symmetric_key_service_pb2_grpc import SymmetricKeyServiceStub
from yandex.cloud.mdb.postgresql.v1 import cluster_pb2, user_pb2
from yandex.cloud.mdb.postgresql.v1 import cluster_service_pb2 as clusters
from yandex.cloud.mdb.postgresql.v1 import user_service_pb2 as users
from yandex.cloud.mdb.postgresql.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.mdb.postgresql.v1.user_service_pb2_grpc import UserServiceStub
from yandex.cloud.storage.v1 import bucket_pb2, bucket_service_pb2
from yandex.cloud.storage.v1.bucket_service_pb2_grpc import BucketServiceStub

from tests.support.cloud import DATAPROC, FOLDER, NETWORK, SUBNET, Endpoint, ObjectStore, finished, refusal, result
from tests.support.managed import postgresql_request


def code_of(call: Any) -> tuple[str, str]:
    error = refusal(call)
    return error.code().name, error.details()


def test_record_sets_of_a_zone_are_changed_together(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(DnsZoneServiceStub)
    request = dns_zone_service_pb2.CreateDnsZoneRequest(folder_id=FOLDER, name="names", zone="names.internal.")
    assert code_of(lambda: stub.Create(request))[0] == "INVALID_ARGUMENT", "nobody could see it"
    request.private_visibility.network_ids.append(NETWORK)
    zone = result(sdk, stub.Create(request), dns_zone_pb2.DnsZone)
    record = dns_zone_pb2.RecordSet(name="mlflow.names.internal.", type="A", ttl=300, data=["10.130.2.10"])

    def update(**changes: Any) -> Any:
        return stub.UpdateRecordSets(dns_zone_service_pb2.UpdateRecordSetsRequest(dns_zone_id=zone.id, **changes))

    assert not finished(sdk, update(additions=[record])).HasField("error")
    asked = {"dns_zone_id": zone.id, "name": record.name, "type": "A"}
    assert stub.GetRecordSet(dns_zone_service_pb2.GetDnsZoneRecordSetRequest(**asked)) == record
    assert code_of(lambda: update(additions=[record]))[0] == "ALREADY_EXISTS"
    changed = dns_zone_pb2.RecordSet(name=record.name, type="A", ttl=300, data=["10.130.2.11"])
    assert "another one than is to be deleted" in code_of(lambda: update(deletions=[changed]))[1]
    outside = dns_zone_pb2.RecordSet(name="mlflow.elsewhere.", type="A", ttl=300, data=["10.130.2.11"])
    assert "is not in the zone" in code_of(lambda: update(additions=[outside]))[1]
    assert not finished(sdk, update(deletions=[record], additions=[changed])).HasField("error")
    listed = stub.ListRecordSets(dns_zone_service_pb2.ListDnsZoneRecordSetsRequest(dns_zone_id=zone.id)).record_sets
    assert {each.type for each in listed} == {"NS", "SOA", "A"}
    finished(sdk, stub.Delete(dns_zone_service_pb2.DeleteDnsZoneRequest(dns_zone_id=zone.id)))
    gone = dns_zone_service_pb2.GetDnsZoneRecordSetRequest(**asked)
    assert code_of(lambda: stub.GetRecordSet(gone))[0] == "NOT_FOUND"


def test_a_bucket_is_made_and_gone_in_the_object_store_too(endpoint: Endpoint, object_store: ObjectStore) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(BucketServiceStub)
    operation = stub.Create(bucket_service_pb2.CreateBucketRequest(name="made-here", folder_id=FOLDER))
    assert operation.done, "Terraform's provider reads the answer of the operation that it was given"
    made = result(sdk, operation, bucket_pb2.Bucket)
    assert "made-here" in object_store.buckets
    again = bucket_service_pb2.CreateBucketRequest(name="made-here", folder_id=FOLDER)
    assert code_of(lambda: stub.Create(again))[0] == "ALREADY_EXISTS"
    https = bucket_service_pb2.GetBucketHTTPSConfigRequest(name="made-here")
    assert code_of(lambda: stub.GetHTTPSConfig(https))[0] == "NOT_FOUND"
    object_store.objects["made-here/some/thing"] = b"x"
    delete = bucket_service_pb2.DeleteBucketRequest(name="made-here")
    assert code_of(lambda: stub.Delete(delete)) == ("FAILED_PRECONDITION", "Bucket 'made-here' is not empty")
    del object_store.objects["made-here/some/thing"]
    subject = access_pb2.Subject(id=DATAPROC, type="serviceAccount")
    delta = access_pb2.AccessBindingDelta(action=access_pb2.ADD)
    delta.access_binding.CopyFrom(access_pb2.AccessBinding(role_id="storage.viewer", subject=subject))

    def bind(resource: str) -> Any:
        return stub.UpdateAccessBindings(
            access_pb2.UpdateAccessBindingsRequest(resource_id=resource, access_binding_deltas=[delta])
        )

    assert code_of(lambda: bind("made-here"))[0] == "NOT_FOUND", "rights are on the resource's id, not on a name"
    finished(sdk, bind(made.resource_id))
    listed = stub.ListAccessBindings(access_pb2.ListAccessBindingsRequest(resource_id=made.resource_id))
    assert [each.role_id for each in listed.access_bindings] == ["storage.viewer"]
    object_store.buckets.discard("made-here")  # by S3's own API
    assert code_of(lambda: stub.Get(bucket_service_pb2.GetBucketRequest(name="made-here")))[0] == "NOT_FOUND"
    names = [each.name for each in stub.List(bucket_service_pb2.ListBucketsRequest(folder_id=FOLDER)).buckets]
    assert "made-here" not in names


def test_a_key_has_a_version(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(SymmetricKeyServiceStub)
    request = symmetric_key_service_pb2.CreateSymmetricKeyRequest(
        folder_id=FOLDER, name="key", default_algorithm="AES_256", deletion_protection=True
    )
    key = result(sdk, stub.Create(request), symmetric_key_pb2.SymmetricKey)
    assert key.primary_version.primary
    assert key.primary_version.algorithm == symmetric_key_pb2.AES_256
    delete = symmetric_key_service_pb2.DeleteSymmetricKeyRequest(key_id=key.id)
    assert code_of(lambda: stub.Delete(delete))[0] == "FAILED_PRECONDITION"
    change = {"deletion_protection": False, "update_mask": FieldMask(paths=["deletion_protection"])}
    finished(sdk, stub.Update(symmetric_key_service_pb2.UpdateSymmetricKeyRequest(key_id=key.id, **change)))
    assert not finished(sdk, stub.Delete(delete)).HasField("error")


@pytest.fixture
def database(endpoint: Endpoint) -> Any:
    sdk = endpoint.sdk()
    request = postgresql_request("hosts-and-users")
    made = result(sdk, sdk.client(ClusterServiceStub).Create(request), cluster_pb2.Cluster)
    yield made
    finished(sdk, sdk.client(ClusterServiceStub).Delete(clusters.DeleteClusterRequest(cluster_id=made.id)))


def test_hosts_come_and_go_but_the_last(endpoint: Endpoint, database: Any) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(ClusterServiceStub)

    def hosts() -> Any:
        return stub.ListHosts(clusters.ListClusterHostsRequest(cluster_id=database.id)).hosts

    (master,) = hosts()
    assert (master.role, master.health) == (cluster_pb2.Host.MASTER, cluster_pb2.Host.ALIVE)
    more = clusters.HostSpec(zone_id="ru-central1-b", subnet_id=SUBNET)
    finished(sdk, stub.AddHosts(clusters.AddClusterHostsRequest(cluster_id=database.id, host_specs=[more])))
    replica = next(each for each in hosts() if each.role == cluster_pb2.Host.REPLICA)
    change = clusters.UpdateHostSpec(host_name=replica.name, assign_public_ip=True)
    change.priority.value = 5
    change.update_mask.paths.append("priority")
    finished(
        sdk, stub.UpdateHosts(clusters.UpdateClusterHostsRequest(cluster_id=database.id, update_host_specs=[change]))
    )
    changed = next(each for each in hosts() if each.name == replica.name)
    assert (changed.priority.value, changed.assign_public_ip) == (5, False), "only what the mask names"
    for name in (replica.name, master.name):
        request = clusters.DeleteClusterHostsRequest(cluster_id=database.id, host_names=[name])
        if name == replica.name:
            finished(sdk, stub.DeleteHosts(request))
        else:
            assert "no host left" in code_of(lambda request=request: stub.DeleteHosts(request))[1]


def test_users_have_connections_and_databases(endpoint: Endpoint, database: Any) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(UserServiceStub)
    named = {"cluster_id": database.id, "user_name": "mlflow"}

    def update(*paths: str, **changes: Any) -> Any:
        return stub.Update(users.UpdateUserRequest(**named, **changes, update_mask=FieldMask(paths=paths)))

    done = result(sdk, update("conn_limit", "password", conn_limit=100, password="another-secret"), user_pb2.User)
    assert done.conn_limit == 100
    assert "the server has 385" in code_of(lambda: update("conn_limit", conn_limit=386))[1]
    assert "expected 8" in code_of(lambda: update("password", password="short"))[1]
    delete = users.DeleteUserRequest(**named)
    assert "User 'mlflow' owns mlflow" in code_of(lambda: stub.Delete(delete))[1]
    assert refusal(lambda: update("name")).code() is grpc.StatusCode.INVALID_ARGUMENT
