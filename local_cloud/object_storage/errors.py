"""What Object Storage refuses, with the codes of its page "Responses" (docs/storage/s3/api-ref/response-codes)."""

from xml.sax.saxutils import escape


class S3Error(Exception):
    """A refusal as S3 says it: HTTP status, a code in one word, a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self, resource: str) -> bytes:
        fields = {"Code": self.code, "Message": self.message, "Resource": resource, "RequestId": "local"}
        inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


def no_credentials() -> S3Error:
    return S3Error(403, "AccessDenied", "The request has neither a signature nor an IAM token (X-YaCloud-SubjectToken)")


def wrong_token() -> S3Error:
    return S3Error(403, "AccessDenied", "The IAM token is not valid: it was not issued by the cloud, or it has expired")


def unknown_key(key: str) -> S3Error:
    return S3Error(403, "InvalidAccessKeyId", f"There is no access key {key!r}")


def wrong_signature() -> S3Error:
    return S3Error(403, "SignatureDoesNotMatch", "The signature is not that of this request: check the secret key")


def unsigned_trailer(name: str) -> S3Error:
    return S3Error(
        501,
        "NotImplemented",
        f"A request without a signature has a checksum behind its body ({name}); send none: "
        "request_checksum_calculation = when_required",
    )


def missing_digest() -> S3Error:
    return S3Error(400, "InvalidRequest", "Missing required header for this request: Content-MD5")


def invalid_digest(value: str) -> S3Error:
    return S3Error(400, "InvalidDigest", f"Content-MD5 is {value!r}, expected 16 bytes in Base64")


def bad_digest(given: str, actual: str) -> S3Error:
    return S3Error(400, "BadDigest", f"Content-MD5 is {given!r}, that of the body is {actual!r}")


def too_many_keys(count: int, most: int) -> S3Error:
    return S3Error(400, "MalformedXML", f"The request has {count} keys, expected 1 to {most}")


def malformed(expected: str, problem: object) -> S3Error:
    return S3Error(400, "MalformedXML", f"The body is not a {expected}: {problem}")


def malformed_policy(problem: object) -> S3Error:
    return S3Error(400, "MalformedPolicy", f"The policy is not what is expected: {problem}")


def invalid_bucket_name(name: str) -> S3Error:
    return S3Error(
        400,
        "InvalidBucketName",
        f"{name!r} is no name of a bucket: 3 to 63 lowercase letters, digits, hyphens and single dots, "
        "a letter or digit at both ends",
    )


def no_such_bucket(name: str) -> S3Error:
    return S3Error(404, "NoSuchBucket", f"There is no bucket {name!r}")


def not_set(code: str, bucket: str, setting: str) -> S3Error:
    return S3Error(404, code, f"Bucket {bucket!r} has no {setting} configuration")


def store_away(problem: object) -> S3Error:
    return S3Error(503, "ServiceUnavailable", f"The store behind does not answer: {problem}")
