"""A request as it came, and which bucket it is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

# Where buckets are hosts: the cloud's own domain, and this machine's.
DOMAINS = ("storage.yandexcloud.net", "localhost")


@dataclass(frozen=True)
class Request:
    """`target` is the path with its query as it was sent; the names of `headers` are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def host_bucket(self) -> str:
        """The bucket that the name of the host begins with, or an empty string."""
        host = self.headers.get("host", "").partition(":")[0]
        return next((host.removesuffix(f".{d}") for d in DOMAINS if host.endswith(f".{d}")), "")

    @property
    def path(self) -> str:
        """`/bucket/key`, quoted as it was sent, whichever way the bucket was named."""
        path = urlsplit(self.target).path
        return f"/{self.host_bucket}{path}" if self.host_bucket else path

    @property
    def bucket(self) -> str:
        return unquote(self.path).split("/")[1]

    @property
    def key(self) -> str:
        return unquote(self.path).strip("/").partition("/")[2]
