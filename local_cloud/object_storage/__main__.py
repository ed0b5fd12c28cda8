"""`python -m local_cloud.object_storage --store URL --settings FILE`: serve until a signal.

The key of the store behind comes from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY).
"""

import argparse
import os
from pathlib import Path

from local_cloud.core.config import ObjectStore
from local_cloud.core.ending import asked_to_end
from local_cloud.object_storage.front import Front, Server
from local_cloud.object_storage.settings import Settings
from local_cloud.object_storage.signature import tokens_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="local_cloud.object_storage", description=__doc__)
    parser.add_argument("--store", required=True, help="address of the S3 server behind")
    parser.add_argument("--settings", required=True, type=Path, help="file that keeps the buckets' settings")
    parser.add_argument("--cloud", type=Path, help="state folder of the endpoint whose IAM tokens hold (default: none)")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any free port)")
    parser.add_argument("--certificate", type=Path, help="key and chain in one PEM file; without it there is no TLS")
    parser.add_argument("--tls-port", type=int, help="where to listen with the certificate, besides --port without it")
    parser.add_argument(
        "--authority", type=Path, help="certificate that is read at /cloud-certs/CA.pem, as the cloud's"
    )
    options = parser.parse_args()
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    tokens = tokens_of(options.cloud) if options.cloud else lambda token: False
    published = {"/cloud-certs/CA.pem": options.authority.read_bytes()} if options.authority else {}
    front = Front(ObjectStore(options.store, key, secret), Settings(options.settings), tokens, published)
    wait = asked_to_end()
    ports = {options.port: options.certificate}
    if options.tls_port is not None:
        ports = {options.port: None, options.tls_port: options.certificate}
    servers = [Server(front, options.host, port, certificate).start() for port, certificate in ports.items()]
    for server in servers:
        print(server.url, flush=True)
    wait()
    for server in servers:
        server.close()


if __name__ == "__main__":
    main()
