"""The cloud's metadata service, in a lab: at 169.254.169.254, of the machine that asks, known by its address.

It says what the API says of the machine (an Instance as JSON, see `up --instance`), in the forms in which the cloud
says it: GCE's, that asks for a header, and both of EC2's, in the first of which Debian's cloud-init looks for
user-data. Each form can be shut by the instance's metadata options; what is shut answers 400, as the cloud does.

    python3 -m local_cloud.machines.metadata LAB
"""

import http.client
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local_cloud.machines import host, relay
from local_cloud.machines.lab import METADATA, Lab
from local_cloud.machines.machine import machines

FLAVOR = ("metadata-flavor", "Google")
GCE, TOKEN = "/computeMetadata/v1/instance/", "service-accounts/default/token"
VERSIONS = ("latest", "2009-04-04")  # of EC2's form
SESSION, TTL = "x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"
PORT = 80


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND, SHUT = Answer(404, "Not Found\n"), Answer(400, "This form of the metadata service is switched off\n")


@dataclass(frozen=True)
class Asked:
    """A request; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Service:
    """What machines are told. `instance` is the API's description of one, `identity` where its tokens come from."""

    def __init__(self) -> None:
        self.session = secrets.token_urlsafe(32)  # of EC2's second form

    def answer(self, asked: Asked, instance: Mapping[str, Any], identity: str | None = None) -> Answer:
        path = asked.path.partition("?")[0]
        if path.startswith(GCE):
            return self.gce(path.removeprefix(GCE), asked, instance, identity)
        version, _, rest = path.strip("/").partition("/")
        if version not in VERSIONS:
            return NOT_FOUND
        return self.ec2(rest, asked, instance)

    def gce(self, path: str, asked: Asked, instance: Mapping[str, Any], identity: str | None) -> Answer:
        if not is_on(instance, "gce_http_endpoint"):
            return SHUT
        name, value = FLAVOR
        if asked.headers.get(name) != value:
            return Answer(403, f"The header {name}: {value} is missing\n")
        if path == TOKEN:
            return token_of(identity) if identity and is_on(instance, "gce_http_token") else NOT_FOUND
        return looked_up(gce_tree(instance), path)

    def ec2(self, path: str, asked: Asked, instance: Mapping[str, Any]) -> Answer:
        """By a session that was asked for (the second form), or without one."""
        if asked.method == "PUT":
            begins = path == "api/token" and TTL in asked.headers
            return Answer(200, self.session) if begins and is_on(instance, "aws_v2_http_endpoint") else SHUT
        given = asked.headers.get(SESSION)
        if given is not None and given != self.session:
            return Answer(401, "Unauthorized\n")
        if not is_on(instance, "aws_v1_http_endpoint" if given is None else "aws_v2_http_endpoint"):
            return SHUT
        if path == "user-data":
            told = metadata(instance).get("user-data")
            return Answer(200, told) if told is not None else NOT_FOUND
        return looked_up({"meta-data": ec2_tree(instance)}, path)


def is_on(instance: Mapping[str, Any], option: str) -> bool:
    return instance.get("metadata_options", {}).get(option, "ENABLED") != "DISABLED"


def metadata(instance: Mapping[str, Any]) -> dict[str, str]:
    return dict(instance.get("metadata", {}))


def gce_tree(instance: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: instance[name] for name in ("id", "name")}
    return {**names, "hostname": instance["fqdn"], "zone": instance["zone_id"], "attributes": metadata(instance)}


def ec2_tree(instance: Mapping[str, Any]) -> dict[str, Any]:
    (interface, *_) = instance["network_interfaces"]
    address = interface["primary_v4_address"]
    public = address.get("one_to_one_nat", {}).get("address")
    return {
        "hostname": instance["fqdn"],
        "instance-id": instance["id"],
        "local-hostname": instance["fqdn"],
        "local-ipv4": address["address"],
        "placement": {"availability-zone": instance["zone_id"]},
        **({"public-ipv4": public} if public else {}),
    }


def looked_up(tree: Any, path: str) -> Answer:
    """The text at a path, or the names below it, each on a line."""
    for part in filter(None, path.split("/")):
        if not isinstance(tree, dict) or part not in tree:
            return NOT_FOUND
        tree = tree[part]
    if isinstance(tree, dict):
        return Answer(200, "\n".join(name + "/" * isinstance(below, dict) for name, below in tree.items()))
    return Answer(200, str(tree))


def token_of(identity: str) -> Answer:
    """A token of the machine's account, from its listener at the endpoint: HOST:PORT, or NAMESPACE:HOST:PORT."""
    listener = relay.Endpoint.parse(identity if identity.count(":") == 2 else f"host:{identity}")
    connection = http.client.HTTPConnection(listener.address, listener.port, timeout=10)
    try:
        connection.sock = listener.connect()
        connection.request("GET", GCE + TOKEN, headers={FLAVOR[0]: FLAVOR[1]})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode())
    except OSError as problem:
        return Answer(503, f"{identity} does not answer: {problem}\n")
    finally:
        connection.close()


class _Handler(BaseHTTPRequestHandler):
    lab: Lab
    service: Service
    protocol_version = "HTTP/1.1"

    def reply(self) -> None:
        asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        caller = next((each for each in machines(self.lab) if each.record.address == self.client_address[0]), None)
        told = caller.instance if caller else None
        answer = self.service.answer(asked, told, caller.record.identity) if caller and told else NOT_FOUND
        body = answer.text.encode()
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(body)), "Content-Type": "text/plain", **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, lab: Lab) -> None:
        handler = type("Handler", (_Handler,), {"lab": lab, "service": Service()})
        super().__init__((METADATA, PORT), handler, bind_and_activate=False)
        with host.network(lab.namespace):  # it listens there, and reaches the endpoint from here
            self.socket.close()
            self.socket = socket.socket()
        self.allow_reuse_address = True
        self.server_bind()
        self.server_activate()


if __name__ == "__main__":
    _Server(Lab(sys.argv[1])).serve_forever()
