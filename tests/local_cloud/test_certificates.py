"""The endpoint's certificate says every name that it is called, and its authority stays."""

from pathlib import Path

from local_cloud.core import tls


def test_a_new_name_makes_a_new_certificate_of_the_same_authority(tmp_path: Path) -> None:
    first = tls.load_or_create(tmp_path, None)
    ca, chain = first.ca.read_bytes(), first.chain
    named = tls.load_or_create(tmp_path, None, ["storage.example.com", "*.example.net"])
    assert tls.names_of(named.pair) == {"localhost", "127.0.0.1", "storage.example.com", "*.example.net"}
    assert named.ca.read_bytes() == ca, "clients need not be told again"
    assert named.chain != chain
    again = tls.load_or_create(tmp_path, None, ["storage.example.com"])
    assert again.chain == named.chain, "a certificate that says enough stays"
