"""nginx of role `tls_proxy` on loopback, by the role's own template, before whatever listens on a port."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tests.support import ROOT
from tests.support.waiting import wait_until

ROLE = ROOT / "roles" / "tls_proxy"
# Ansible's way with a template, in an environment that has Jinja.
RENDER = """
import json, sys, jinja2, yaml
role, given = json.load(sys.stdin)
values = {}
for file in ("defaults", "vars"):
    with open(f"{role}/{file}/main.yml") as text:
        values |= yaml.safe_load(text)
environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
environment.filters["bool"] = bool
values = {**values, **given}
with open(f"{role}/templates/nginx.conf.j2") as text:
    print(environment.from_string(text.read()).render(values))
"""


def program() -> str | None:
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or shutil.which("nginx")


@dataclass(frozen=True)
class Nginx:
    """`ca`: certificate of its authority; `log`: one JSON object for each request that it has answered."""

    url: str
    ca: Path
    log: Path

    def answered(self, path: str) -> list[int]:
        """The statuses of the requests for paths that end so, in their order."""
        entries = (json.loads(line) for line in self.log.read_text().splitlines())
        return [entry["status"] for entry in entries if entry["path"].endswith(path)]


def configuration(folder: Path, python: Path, port: int, upstream: int, wait: int) -> str:
    """What the role writes, but for the port, the folders below /var, where the log goes and how long clients wait."""
    given: dict[str, Any] = {
        "ansible_managed": "of a test",
        "tls_proxy_hosts": ["127.0.0.1"],
        "tls_proxy_upstream": f"127.0.0.1:{upstream}",
        "_tls_proxy_certificate": str(folder),
        "_tls_proxy_curves": ["X25519", "prime256v1"],
    }
    asked = json.dumps([str(ROLE), given])
    text = subprocess.run([python, "-c", RENDER], input=asked, check=True, capture_output=True, text=True).stdout
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen [::]:443 ssl": f"listen [::1]:{port} ssl",
        "/var/lib/nginx/": f"{folder}/",
        "/etc/nginx/mime.types": "mime.types",
        ')$" 15;': f')$" {wait};',
        "access_log syslog:server=unix:/run/systemd/journal/dev-log,tag=mlflow_access,nohostname access;": (
            f"access_log {folder}/access.log access;"
        ),
    }
    for old, new in changes.items():
        assert old in text, f"nginx.conf.j2 has no `{old}` any more"
        text = text.replace(old, new)
    return text


@contextmanager
def started(
    folder: Path,
    python: Path,
    nginx: str,
    port: int,
    upstream: int,
    first: Callable[[], None] | None = None,
    wait: int = 1,
) -> Iterator[Nginx]:
    """`python`: an interpreter with Jinja; `upstream`: the port on 127.0.0.1 where MLflow is, or will be; `first`: what
    nginx's process does before it becomes nginx; `wait`: seconds that clients are told to wait."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.crt")
    (folder / "mime.types").write_text("types { text/html html; }")
    (folder / "nginx.conf").write_text(configuration(folder, python, port, upstream, wait))
    log = folder / "access.log"
    globals_ = f"pid {folder}/nginx.pid; daemon off; user root;"
    command: list[str | Path] = [nginx, "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf", "-g", globals_]
    with open(folder / "errors.log", "wb") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors, preexec_fn=first)
    try:
        wait_until(
            lambda: (folder / "nginx.pid").exists() or process.poll() is not None, "nginx has begun or ended", 60
        )
        assert process.poll() is None, (folder / "errors.log").read_text()
        yield Nginx(f"https://127.0.0.1:{port}", folder / "ca.crt", log)
    finally:
        process.terminate()
        process.wait(30)
