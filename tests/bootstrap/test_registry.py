"""Where Terraform gets its provider: a registry that does not answer is said first, and a mirror takes its place."""

import io
import json
import os
import ssl
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from stack.cloud import registry
from stack.cloud.deployment import Deployment
from stack.cloud.terraform import Terraform
from stack.common.envs import ROOT
from stack.common.errors import StackError
from tests.bootstrap.cloud_fixture import CloudFixture

UNREACHABLE = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1,localhost", "TF_REATTACH_PROVIDERS": ""}


@pytest.mark.parametrize("command", ["bootstrap", "cost"])
def test_a_registry_that_does_not_answer_is_said_with_the_vendors_mirror(
    untouched: CloudFixture, tmp_path: Path, command: str
) -> None:
    options = ["--yes"] if command == "bootstrap" else []
    status, printed = untouched.run(command, *options, HOME=str(tmp_path), **UNREACHABLE)
    assert status == 1
    assert "cannot be used from here" in printed
    assert f"{registry.VENDORS}: the same command with MIRROR=yandex" in printed
    assert "Traceback" not in printed
    assert untouched.calls() == []
    assert not untouched.deployment.terraform_rc.exists(), "only on request"


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ("yandex", registry.VENDORS),
        ("https://mirror.example.com", "https://mirror.example.com/"),
        ("https://mirror.example.com/terraform/", "https://mirror.example.com/terraform/"),
    ],
)
def test_a_choice_is_kept_until_another_is_made(deployment: Deployment, chosen: str, kept: str) -> None:
    registry.choose(Deployment(deployment.folder, ROOT, mirror=chosen))
    registry.choose(Deployment(deployment.folder, ROOT))
    assert registry.mirror_of(deployment) == kept
    assert registry.environment(deployment) == {"TF_CLI_CONFIG_FILE": str(deployment.terraform_rc)}
    registry.choose(Deployment(deployment.folder, ROOT, mirror="none"))
    assert registry.environment(deployment) == {}


@pytest.mark.parametrize("chosen", ["1", "http://mirror.example.com/", "https://", 'https://x"}'])
def test_what_is_no_mirror_is_refused(deployment: Deployment, chosen: str) -> None:
    with pytest.raises(StackError, match="begins with https:// is expected"):
        registry.choose(Deployment(deployment.folder, ROOT, mirror=chosen))
    assert not deployment.terraform_rc.exists()


def archive(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as content:
        content.writestr(zipfile.ZipInfo(name), "#!/bin/sh\n")
    return packed.getvalue()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, Any]]]:
    """(a mirror over TLS that this process and Terraform trust, path -> what it has); all paths that were asked for."""
    pages: dict[str, Any] = {"asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages["asked"].append(self.path)
            found = pages.get(self.path)
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/zip" if isinstance(found, bytes) else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("TF_REATTACH_PROVIDERS", raising=False)
    yield f"https://127.0.0.1:{server.server_address[1]}/mirror/", pages
    server.shutdown()
    server.server_close()


def offer(pages: dict[str, Any], provider: registry.Provider, version: str) -> None:
    """Puts a provider of that version, for every platform of these tests, into the mirror."""
    folder = f"/mirror/{provider.host}/{provider.name}"
    platforms = ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64")
    pages[f"{folder}/index.json"] = {"versions": {version: {}}}
    pages[f"{folder}/{version}.json"] = {"archives": {each: {"url": "provider.zip"} for each in platforms}}
    pages[f"{folder}/provider.zip"] = archive(f"terraform-provider-yandex_v{version}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose two modules require a range of versions."""
    folder = tmp_path / "project"
    for module in (folder / "terraform", folder / "terraform" / "state"):
        module.mkdir(parents=True)
        block = 'yandex = {\n source = "yandex-cloud/yandex"\n version = ">= 0.222.0, < 1.0.0" # a comment\n }'
        (module / "versions.tf").write_text(f"terraform {{\n required_providers {{\n {block}\n }}\n}}\n")
    return folder


def test_terraform_gets_the_provider_from_the_mirror(
    mirror: tuple[str, dict[str, Any]], deployment: Deployment, project: Path
) -> None:
    address, pages = mirror
    chosen = Deployment(deployment.folder, project, mirror=address)
    provider = registry.required(chosen)
    offer(pages, provider, "0.223.1")
    registry.choose(chosen)
    assert registry.require_provider(chosen, "state") == f"{provider} from the mirror {address}"
    Terraform(chosen, "state", dict(os.environ)).init()
    assert f"/mirror/{provider.host}/{provider.name}/provider.zip" in pages["asked"]
    kept = deployment.folder / "terraform" / "state" / "providers" / provider.host / provider.name
    assert [each.name for each in kept.iterdir()] == ["0.223.1"]
    # Without the mirror nothing is asked any more: it is here.
    registry.choose(Deployment(deployment.folder, project, mirror="none"))
    assert registry.require_provider(Deployment(deployment.folder, project), "state").endswith("is here already")


def test_a_mirror_without_such_a_version_is_said(
    mirror: tuple[str, dict[str, Any]], deployment: Deployment, project: Path
) -> None:
    address, pages = mirror
    chosen = Deployment(deployment.folder, project, mirror=address)
    registry.choose(chosen)
    offer(pages, registry.required(chosen), "0.221.9")
    with pytest.raises(
        StackError, match=r"has yandex-cloud/yandex up to 0\.221\.9, and >= 0\.222\.0, < 1\.0\.0 is needed"
    ):
        registry.require_provider(chosen, "main")


@pytest.mark.parametrize(
    ("constraint", "taken", "refused"),
    [
        ("0.219.0", "0.219.0", "0.219.1"),
        ("= 0.219.0", "0.219.0", "0.220.0"),
        (">= 0.222.0, < 1.0.0", "0.300.0", "1.0.0"),
        ("> 0.222.0", "0.222.1", "0.222.0"),
        ("<= 0.222.0, != 0.221.0", "0.222.0", "0.221.0"),
        ("~> 0.222", "0.999.0", "1.0.0"),
        ("~> 0.222.1", "0.222.9", "0.223.0"),
        (">= 0.222.0", "0.222.0", "0.223.0-rc1"),
    ],
)
def test_versions_are_compared_as_terraform_does(constraint: str, taken: str, refused: str) -> None:
    provider = registry.Provider("a.host", "yandex-cloud/yandex", constraint)
    assert provider.takes(taken)
    assert not provider.takes(refused)


def test_a_mirror_that_does_not_answer_is_said(mirror: tuple[str, dict[str, Any]], deployment: Deployment) -> None:
    chosen = Deployment(deployment.folder, ROOT, mirror=mirror[0])
    registry.choose(chosen)
    with pytest.raises(StackError, match=r"404.*choose another, or MIRROR=none"):
        registry.require_provider(chosen, "main")


def test_a_configuration_of_ones_own_is_left_to_terraform(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.rc"
    own.write_text("provider_installation {\n  direct {}\n}\n")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(own))
    monkeypatch.delenv("TF_REATTACH_PROVIDERS", raising=False)
    told = registry.require_provider(Deployment(deployment.folder, ROOT), "main")
    assert told.endswith(f"from where {own} says")


def test_an_init_that_does_not_reach_the_registry_names_the_mirror(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is if the network goes away between the check and Terraform."""
    fake = tmp_path / "bin" / "terraform"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "Error: Invalid provider registry host"\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    (tmp_path / "terraform").mkdir()
    with pytest.raises(StackError, match="MIRROR=yandex"):
        Terraform(deployment, ".", dict(os.environ)).init()
