"""The endpoint's own certificate authority and the bundle that its jobs trust."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509


@dataclass(frozen=True)
class Tls:
    """`ca` is the certificate clients trust; `key` and `chain` (PEM) are the server's; `bundle` is what jobs trust."""

    ca: Path
    key: bytes
    chain: bytes
    bundle: Path
    pair: Path


def load_or_create(state: Path, extra: Path | None, names: Sequence[str] = ()) -> Tls:
    """The same authority and server certificate at every start, so that clients need not be told again.

    Args:
        names: what the server is called besides localhost; with another one its certificate is made anew.
    """
    authority, pair, ca, bundle = (state / name for name in ("ca-key.pem", "server.pem", "ca.pem", "ca-bundle.pem"))
    if not ca.exists():
        issuer = trustme.CA(organization_name="local_cloud")
        write(authority, issuer.private_key_pem.bytes(), 0o600)
        write(ca, issuer.cert_pem.bytes(), 0o644)
    called = ("localhost", "127.0.0.1", *names)
    if not pair.exists() or not set(called) <= names_of(pair):
        server = trustme.CA.from_pem(ca.read_bytes(), authority.read_bytes()).issue_cert(*called)
        chain = b"".join(blob.bytes() for blob in server.cert_chain_pems)
        write(pair, server.private_key_pem.bytes() + chain, 0o600)
    write(bundle, ca.read_bytes() + (extra.read_bytes() if extra else b""), 0o644)
    key, chain = parts_of(pair)
    return Tls(ca, key, chain, bundle, pair)


def parts_of(pair: Path) -> tuple[bytes, bytes]:
    """Key and chain of a PEM file that has both."""
    key, begin, rest = pair.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    return key, begin + rest


def names_of(pair: Path) -> set[str]:
    """What the server is called in its certificate."""
    certificate = x509.load_pem_x509_certificate(parts_of(pair)[1])
    called = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*called.get_values_for_type(x509.DNSName), *map(str, called.get_values_for_type(x509.IPAddress))}


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically; it never exists with a wider mode than the one asked for."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    temporary.replace(path)
