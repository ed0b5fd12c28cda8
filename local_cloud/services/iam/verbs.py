"""IAM tokens by JWT and for other accounts, authorised keys, and static keys of the object store."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.protobuf.message import Message
from yandex.cloud.iam.v1 import iam_token_service_pb2, key_pb2

from local_cloud.core.calls import Call, Handler
from local_cloud.core.identity import ACCOUNT_TYPE, KEY_TYPE
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import timestamp
from local_cloud.services.base import Service
from local_cloud.services.iam import errors

_TOKENS = "yandex.cloud.iam.v1.IamTokenService"


class Iam(Service):
    def handlers(self) -> Mapping[str, Handler]:
        return {
            f"{_TOKENS}/Create": self._create_token,
            f"{_TOKENS}/CreateForServiceAccount": self._create_token_for,
            f"{_TOKENS}/Revoke": self._revoke,
            "yandex.cloud.iam.v1.KeyService/Create": self._create_key,
            "yandex.cloud.iam.v1.awscompatibility.AccessKeyService/Create": self._create_access_key,
        }

    def holdings(self) -> Mapping[str, Holding]:
        return {
            ACCOUNT_TYPE: lambda row: {"iam.serviceAccounts.count": 1},
            KEY_TYPE: lambda row: {"iam.authorizedKeys.count": 1},
            "yandex.cloud.iam.v1.awscompatibility.AccessKey": lambda row: {"iam.accessKeys.count": 1},
        }

    def _create_token(self, call: Call) -> Message:
        if not call.request.jwt:
            raise errors.only_jwt()
        return self._token(self.context.identity.verify_jwt(call.request.jwt))

    def _create_token_for(self, call: Call) -> Message:
        return self._token(self.store.get(ACCOUNT_TYPE, call.request.service_account_id).key)

    def _token(self, subject: str) -> Message:
        token, expires = self.context.identity.issue(subject)
        return iam_token_service_pb2.CreateIamTokenResponse(iam_token=token, expires_at=timestamp(expires))

    def _revoke(self, call: Call) -> Message:
        subject = self.context.identity.revoke(call.request.iam_token)
        return iam_token_service_pb2.RevokeIamTokenResponse(subject_id=subject)

    def _create_key(self, call: Call) -> Message:
        """A new authorised key: the public half stays here, the private one is told once."""
        bits = 4096 if call.request.key_algorithm == key_pb2.Key.RSA_4096 else 2048
        call = self._for_an_account(call)
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        answer: Any = self.resources.create_now(call)
        answer.key.public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        answer.private_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        row = self.store.get(KEY_TYPE, answer.key.id)
        row.message.CopyFrom(answer.key)
        self.store.save(row)
        return answer

    def _create_access_key(self, call: Call) -> Message:
        """A static key for Object Storage: always the one key that the S3 server behind this endpoint knows."""
        call = self._for_an_account(call)
        objects = self.context.config.object_store
        if objects is None:
            raise errors.no_object_store()
        answer: Any = self.resources.create_now(call)
        row = self.store.get(answer.access_key.DESCRIPTOR.full_name, answer.access_key.id)
        row.message.key_id = answer.access_key.key_id = objects.access_key
        self.store.save(row)
        answer.secret = objects.secret_key
        return answer

    def _for_an_account(self, call: Call) -> Call:
        """The call for the account it names, or for the caller's own; raises NOT_FOUND for one that does not exist."""
        request = type(call.request)()
        request.CopyFrom(call.request)
        request.service_account_id = request.service_account_id or call.subject
        self.store.get(ACCOUNT_TYPE, request.service_account_id)
        return dataclasses.replace(call, request=request)
