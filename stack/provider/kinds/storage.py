"""Buckets: made by the cloud's API, set up by S3's, deleted by S3's."""

from collections.abc import Callable
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from stack.provider.kinds.api import Api, Refused
from stack.provider.kinds.base import Kind, one, said
from stack.provider.kinds.identity import LOCK
from stack.provider.messages import Json

FLAGS = ("read", "list", "config_read")
# What a bucket without that setting answers.
EMPTYINGS = 5  # of a bucket to which somebody still writes
ABSENT = ("NoSuchLifecycleConfiguration", "ServerSideEncryptionConfigurationNotFoundError")


class Bucket(Kind):
    service, own = "storage.v1.BucketService", "name"
    anew = frozenset({"bucket", "bucket_prefix"})
    # Attributes, and the call of S3 that sets each of them.
    settings: ClassVar = {
        "versioning": lambda s3, name, value: s3.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Enabled" if one(value).get("enabled") else "Suspended"}
        ),
        "lifecycle_rule": lambda s3, name, value: s3.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": [lifecycle(each) for each in value]}
        ),
        "server_side_encryption_configuration": lambda s3, name, value: s3.put_bucket_encryption(
            Bucket=name, ServerSideEncryptionConfiguration={"Rules": [encryption(value)]}
        ),
        "tags": lambda s3, name, value: s3.put_bucket_tagging(
            Bucket=name, Tagging={"TagSet": [{"Key": key, "Value": each} for key, each in (value or {}).items()]}
        ),
    }

    def create(self, api: Api, values: Json) -> None:
        flags = {"anonymous_access_flags": one(values["anonymous_access_flags"])}
        request = {"name": values["bucket"], **said(values, "folder_id"), **(flags if any(flags.values()) else {})}
        api.do(f"{self.service}/Create", {**request, "acl": {}})
        values["id"] = values["bucket"]
        self.set_up(api, {}, values)

    def set_up(self, api: Api, prior: Json, values: Json) -> None:
        for name, put in self.settings.items():
            if values[name] and values[name] != prior.get(name):
                put(api.s3, values["bucket"], values[name])

    def update(self, api: Api, prior: Json, values: Json) -> None:
        self.set_up(api, prior, values)
        if prior["anonymous_access_flags"] != values["anonymous_access_flags"]:
            flags = {"anonymous_access_flags": one(values["anonymous_access_flags"])}
            request = {"name": values["bucket"], **flags, "update_mask": ["anonymous_access_flags"]}
            api.do(f"{self.service}/Update", request)

    def read(self, api: Api, values: Json) -> Json | None:
        name = values["id"]
        message = api.find(f"{self.service}/Get", {"name": name, "view": "VIEW_FULL"})
        if message is None:
            return None
        api.find(f"{self.service}/GetHTTPSConfig", {"name": name})
        s3 = api.s3
        versioning = s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled"
        rules = answer(lambda: s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"], [])
        kept = answer(lambda: s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"], [])
        flags = message.get("anonymous_access_flags")
        return {
            "bucket": name,
            "folder_id": message["folder_id"],
            "bucket_domain_name": f"{name}.storage.yandexcloud.net",
            "default_storage_class": message["default_storage_class"],
            "max_size": int(message["max_size"]),
            "anonymous_access_flags": [{flag: flags.get(flag, False) for flag in FLAGS}] if flags else [],
            "tags": {each["Key"]: each["Value"] for each in s3.get_bucket_tagging(Bucket=name)["TagSet"]},
            "versioning": [{"enabled": versioning}],
            "lifecycle_rule": [of_lifecycle(each) for each in rules],
            "server_side_encryption_configuration": [{"rule": [of_encryption(each)]} for each in kept],
        }

    def delete(self, api: Api, values: Json) -> None:
        """As the real one: what is in it goes, too, if the configuration says so, and what comes meanwhile."""
        name = values["id"]
        for attempt in range(EMPTYINGS):
            pages = api.s3.get_paginator("list_objects_v2").paginate(Bucket=name)
            there = [item["Key"] for page in pages for item in page.get("Contents", ())]
            if there and not values["force_destroy"]:
                raise Refused(f"BucketNotEmpty: the bucket {name} is not empty: {there[:10]}")
            for key in there:
                api.s3.delete_object(Bucket=name, Key=key)
            try:
                api.s3.delete_bucket(Bucket=name)
                return
            except ClientError as problem:
                if problem.response["Error"]["Code"] != "BucketNotEmpty" or attempt == EMPTYINGS - 1:
                    raise


def answer(ask: Callable[[], Any], otherwise: Any) -> Any:
    """What a bucket says of a setting, or what it is without."""
    try:
        return ask()
    except ClientError as problem:
        if problem.response["Error"]["Code"] not in ABSENT:
            raise
        return otherwise


def lifecycle(rule: Json) -> Json:
    days, old = one(rule["expiration"]).get("days"), one(rule["noncurrent_version_expiration"]).get("days")
    unfinished = rule["abort_incomplete_multipart_upload_days"]
    return {
        "ID": rule["id"],
        "Status": "Enabled" if rule["enabled"] else "Disabled",
        "Filter": {"Prefix": rule["prefix"] or ""},
        **({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": unfinished}} if unfinished else {}),
        **({"Expiration": {"Days": days}} if days else {}),
        **({"NoncurrentVersionExpiration": {"NoncurrentDays": old}} if old else {}),
    }


def of_lifecycle(rule: Json) -> Json:
    days, old = rule.get("Expiration"), rule.get("NoncurrentVersionExpiration")
    return {
        "id": rule["ID"],
        "enabled": rule["Status"] == "Enabled",
        "prefix": rule.get("Filter", {}).get("Prefix", ""),
        "abort_incomplete_multipart_upload_days": rule.get("AbortIncompleteMultipartUpload", {}).get(
            "DaysAfterInitiation", 0
        ),
        "expiration": [{"days": days["Days"], "date": "", "expired_object_delete_marker": False}] if days else [],
        "noncurrent_version_expiration": [{"days": old["NoncurrentDays"], "newer_noncurrent_versions": 0}]
        if old
        else [],
        "noncurrent_version_transition": [],
        "transition": [],
        "filter": [],
    }


def encryption(value: Any) -> Json:
    default = one(one(one(value)["rule"])["apply_server_side_encryption_by_default"])
    key, algorithm = default["kms_master_key_id"], default["sse_algorithm"]
    return {"ApplyServerSideEncryptionByDefault": {"KMSMasterKeyID": key, "SSEAlgorithm": algorithm}}


def of_encryption(rule: Json) -> Json:
    default = rule["ApplyServerSideEncryptionByDefault"]
    names = {"kms_master_key_id": default["KMSMasterKeyID"], "sse_algorithm": default["SSEAlgorithm"]}
    return {"apply_server_side_encryption_by_default": [names]}


class BucketBinding(Kind):
    """All who have a role on a bucket, which is said by its resource's id and not by its name."""

    service = "storage.v1.BucketService"
    compared = True
    anew = frozenset({"bucket", "role"})

    def bindings(self, api: Api, values: Json) -> tuple[str, list[Json]]:
        bucket = api.find(f"{self.service}/Get", {"name": values["bucket"]})
        if bucket is None:
            return "", []
        request = {"resource_id": bucket["resource_id"], "page_size": 1000}
        return bucket["resource_id"], api.call(f"{self.service}/ListAccessBindings", request)["access_bindings"]

    def change_to(self, api: Api, values: Json, members: Any) -> None:
        """The role is these members' alone."""
        with LOCK:
            resource, there = self.bindings(api, values)
            wanted = [bound(values["role"], each) for each in sorted(members)]
            has = [each for each in there if each["role_id"] == values["role"]]
            deltas = [{"action": "REMOVE", "access_binding": each} for each in has if each not in wanted]
            deltas += [{"action": "ADD", "access_binding": each} for each in wanted if each not in has]
            if deltas:
                request = {"resource_id": resource, "access_binding_deltas": deltas}
                api.do(f"{self.service}/UpdateAccessBindings", request)

    def create(self, api: Api, values: Json) -> None:
        self.change_to(api, values, values["members"])

    def update(self, api: Api, prior: Json, values: Json) -> None:
        self.change_to(api, values, values["members"])

    def delete(self, api: Api, values: Json) -> None:
        self.change_to(api, values, [])

    def read(self, api: Api, values: Json) -> Json | None:
        _, there = self.bindings(api, values)
        subjects = [each["subject"] for each in there if each["role_id"] == values["role"]]
        members = [f"{each['type']}:{each['id']}" for each in subjects]
        return {"members": sorted(members)} if members else None


def bound(role: str, member: str) -> Json:
    kind, _, identity = member.partition(":")
    return {"role_id": role, "subject": {"type": kind, "id": identity}}
