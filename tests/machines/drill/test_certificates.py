"""Certificates that are given, or come from an ACME service: `make drill-machines`."""

import base64
import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support import ROOT
from tests.support.machines import (
    ENTER,
    GATEWAY,
    inside,
    outside,
)
from tests.support.mlflow_machine import ADDRESS, MLFLOW, authority
from tests.support.playbooks import changed, playbook
from tests.support.waiting import wait_until


def served() -> str:
    """Issuer of the certificate that nginx shows."""
    show = f"openssl s_client -connect {ADDRESS}:443 -servername {MLFLOW} < /dev/null | openssl x509 -noout -issuer"
    return outside("sh", "-c", show).stdout


def test_a_given_certificate_is_served(tmp_path: Path) -> None:
    issuer = trustme.CA(organization_name="given")
    mine = issuer.issue_cert(MLFLOW, ADDRESS)
    values = {
        "tls_proxy_certificate_source": "given",
        "tls_proxy_certificate": mine.cert_chain_pems[0].bytes().decode(),
        "tls_proxy_certificate_key": {"value": mine.private_key_pem.bytes().decode().strip()},
    }
    (tmp_path / "given.json").write_text(json.dumps(values))
    try:
        playbook("site.yml", "--limit=mlflow", "-e", f"@{tmp_path}/given.json")
        assert "O = given" in served()
    finally:
        playbook("site.yml", "--limit=mlflow")
    assert f"authority of {MLFLOW}" in served()


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[str]:
    """Address of an ACME service in the lab (Let's Encrypt's own test server); its authority is on MLflow's machine."""
    if not shutil.which("pebble"):
        pytest.skip("no ACME server: apt-get install pebble")
    issuer = trustme.CA()
    issuer.issue_cert(GATEWAY).private_key_and_cert_chain_pem.write_to_path(tmp_path / "pebble.pem")
    endpoints = {"listenAddress": f"{GATEWAY}:14000", "managementListenAddress": f"{GATEWAY}:15000"}
    keys = {"certificate": str(tmp_path / "pebble.pem"), "privateKey": str(tmp_path / "pebble.pem")}
    ports = {"httpPort": 80, "tlsPort": 443, "ocspResponderURL": ""}
    (tmp_path / "pebble.json").write_text(json.dumps({"pebble": endpoints | keys | ports}))
    names = ("pebble-challtestsrv", "-defaultIPv4", ADDRESS, "-defaultIPv6", "", "-dns01", f"{GATEWAY}:8053")
    quiet = ("-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"{GATEWAY}:8055")
    services = [(*names, *quiet), ("pebble", "-config", str(tmp_path / "pebble.json"), "-dnsserver", f"{GATEWAY}:8053")]
    with contextlib.ExitStack() as running, open(tmp_path / "log", "wb") as log:
        for service in services:
            process = subprocess.Popen([*ENTER, *service], stdout=log, stderr=log, cwd=ROOT)
            running.callback(process.wait, 10)
            running.callback(process.terminate)
        encoded = base64.b64encode(issuer.cert_pem.bytes()).decode()
        inside(MLFLOW).check_output(f"echo {encoded} | base64 -d > /etc/ssl/acme-ca.crt")
        for address in (f"https://{GATEWAY}:14000/dir", f"http://{GATEWAY}:8055"):
            reachable = ("curl", "-sk", "--noproxy", "*", address)
            wait_until(lambda reachable=reachable: outside(*reachable).returncode == 0, f"{address} answers", 300)
        yield f"https://{GATEWAY}:14000/dir"
        # The next service knows nothing of this account.
        inside(MLFLOW).check_output(
            "rm -rf /etc/certificates/tls-proxy-acme /etc/letsencrypt/accounts /etc/letsencrypt/archive "
            "/etc/letsencrypt/live /etc/letsencrypt/renewal"
        )


def test_a_certificate_from_an_acme_service(acme: str) -> None:
    values = {
        "tls_proxy_certificate_source": "acme",
        "tls_proxy_hosts": [MLFLOW],
        "tls_proxy_acme_email": "owner@example",
        "tls_proxy_acme_directory": acme,
        "tls_proxy_acme_ca": "/etc/ssl/acme-ca.crt",
        "baseline_firewall_inbound": [
            {"port": port, "proto": "tcp", "from": [], "comment": "MLflow"} for port in (80, 443)
        ],
    }
    serial = "openssl x509 -noout -serial -in /etc/certificates/tls-proxy-acme/server.crt"
    try:
        playbook("site.yml", "--limit=mlflow", "-e", json.dumps(values))
        assert "Pebble" in served()
        again = playbook("site.yml", "--limit=mlflow", "-e", json.dumps(values))
        assert not any(changed(again.stdout).values()), again.stdout[-4000:]
        first = inside(MLFLOW).check_output(serial)
        # As certbot's timer does it when the time has come.
        inside(MLFLOW).check_output(
            "REQUESTS_CA_BUNDLE=/etc/ssl/acme-ca.crt certbot -q renew --force-renewal --no-random-sleep-on-renew"
        )
        assert inside(MLFLOW).check_output(serial) != first
        assert "Pebble" in served()
    finally:
        playbook("site.yml", "--limit=mlflow")
        authority.cache_clear()  # another: it may sign for the machine's names only, and they have changed twice
    assert f"authority of {MLFLOW}" in served()
