"""What IAM refuses besides wrong tokens and missing roles (`core/identity.py`)."""

from local_cloud.core.errors import ApiError, invalid, precondition


def only_jwt() -> ApiError:
    return invalid("CreateIamTokenRequest: only 'jwt' is accepted here; there are no Yandex passport accounts")


def no_object_store() -> ApiError:
    return precondition("this endpoint has no object store: set 'object_store' in its configuration")
