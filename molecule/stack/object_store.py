"""An S3 server (S3Proxy, TLS) in the lab's network at https://lab:9443, with buckets `artifacts` and `backups`.

python molecule/stack/object_store.py LAB FOLDER      # in the environment `stack`; FOLDER keeps data, CA and the log
"""

import subprocess
import sys
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate

from stack.common.java import JARS, ensure_jars, find_java

KEY_ID, SECRET = "lab-key", "lab-secret"  # known to nobody but this lab's machines
ADDRESS, PORT = "10.231.7.1", 9443


def key_store(folder: Path) -> Path:
    """Certificate and key of the server for Java, made unless they exist; the authority goes to FOLDER/ca.crt."""
    store = folder / "server.p12"
    if store.exists():
        return store
    authority = trustme.CA(organization_name="lab")
    server = authority.issue_cert("lab", ADDRESS)
    (folder / "ca.crt").write_bytes(authority.cert_pem.bytes())
    key = load_pem_private_key(server.private_key_pem.bytes(), None)
    certificate = load_pem_x509_certificate(server.cert_chain_pems[0].bytes())
    secret = BestAvailableEncryption(SECRET.encode())
    store.write_bytes(pkcs12.serialize_key_and_certificates(b"lab", key, certificate, None, secret))  # type: ignore[arg-type]
    return store


def main() -> None:
    lab, folder = sys.argv[1], Path(sys.argv[2])
    for bucket in ("artifacts", "backups"):
        (folder / "data" / bucket).mkdir(parents=True, exist_ok=True)
    java = find_java()
    ensure_jars("object-store", java)
    settings = {
        "s3proxy.secure-endpoint": f"https://{ADDRESS}:{PORT}",
        "s3proxy.keystore-path": str(key_store(folder)),
        "s3proxy.keystore-password": SECRET,
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": KEY_ID,
        "s3proxy.credential": SECRET,
        "s3proxy.v4-max-non-chunked-request-size": str(1 << 30),
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": str(folder / "data"),
        "jclouds.identity": "unused",
        "jclouds.credential": "unused",
    }
    properties = folder / "s3proxy.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    jar = next((JARS / "object-store").glob("s3proxy-*.jar"))
    machines = (sys.executable, "-m", "local_cloud.machines", f"--lab={lab}", "serve", "object-store", "--")
    options = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    command = (str(java / "bin" / "java"), *options, "-jar", str(jar), "--properties", str(properties))
    subprocess.run([*machines, *command], check=True)


if __name__ == "__main__":
    main()
