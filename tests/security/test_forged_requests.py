"""Probes of the published MLflow advisories since 2023: a server that is made to ask others.

Each sends what an attacker would and fails if the answer gives what the advisory promised; a canary on
loopback is the prize.
"""

from urllib.parse import quote

import pytest

from tests.security.probing import name, refused
from tests.support.mlflow_server import Server


def test_webhooks_ask_no_inner_address(server: Server, canary: tuple[str, list[str]]) -> None:
    """CVE-2026-64849: webhooks are the admin's, and reach no loopback, private or metadata address."""
    address, asked = canary
    events = [{"entity": "MODEL_VERSION", "action": "CREATED"}]
    for url in (
        address,
        address.replace("127.0.0.1", "localhost"),
        address.replace("127.0.0.1", "0.0.0.0"),
        "http://[::1]/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/",
        "https://2130706433/",
        "file:///etc/passwd",
    ):
        body = {"name": name("probe"), "url": url, "events": events}
        answer = server.api("admin", "webhooks", body)
        assert answer.status == 400, f"{url}: {answer.status} {answer.text[:200]}"
        assert refused(server.api("viewer", "webhooks", body)), url
        assert refused(server.api("trainer", "webhooks", body)), url
    assert not asked


@pytest.mark.parametrize("user", ["viewer", "trainer", "admin"])
def test_gateway_asks_nobody(server: Server, canary: tuple[str, list[str]], user: str) -> None:
    """GHSA-h7x2: no gateway route fetches what a client names."""
    address, asked = canary
    before = len(asked)
    for path in (
        f"/ajax-api/2.0/mlflow/gateway-proxy?gateway_path={quote(address)}/x",
        "/gateway/proxy/x",
        "/ajax-api/3.0/mlflow/gateway-proxy?gateway_path=../../x",
        "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=api/2.0/endpoints/",
    ):
        for method, body in (
            ("GET", None),
            ("POST", {"gateway_path": f"{address}/x", "json_data": {}, "target": address}),
        ):
            answer = server.call(method, path, user, body, {"Origin": server.url})
            assert refused(answer, 500) or answer.text.strip() in ("{}", "[]", '{"endpoints":[]}'), (
                f"{path}: {answer.text[:200]}"
            )
    assert len(asked) == before
