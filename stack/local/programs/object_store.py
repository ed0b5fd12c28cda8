"""The object store: S3Proxy over a folder."""

from stack.common.files import write_private
from stack.common.java import JARS, find_java
from stack.local.programs.program import Program, base_environment
from stack.local.state import State


def object_store(state: State) -> Program:
    """S3Proxy over a folder. Answers only to signed requests."""
    data = state.folder / "object-store"
    data.mkdir(exist_ok=True)
    settings = {
        "s3proxy.endpoint": state.url("object_store"),
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": state.secrets["object_store_key"],
        "s3proxy.credential": state.secrets["object_store_secret"],
        # A single PUT larger than this is refused; S3A and boto3 send larger objects in parts.
        "s3proxy.v4-max-non-chunked-request-size": str(1 << 30),
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": str(data),
        "jclouds.identity": "unused",
        "jclouds.credential": "unused",
    }
    properties = state.folder / "object-store.properties"
    write_private(properties, "".join(f"{key}={value}\n" for key, value in settings.items()))
    jar = next((JARS / "object-store").glob("s3proxy-*.jar"))
    java = find_java() / "bin" / "java"
    options = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return Program([str(java), *options, "-jar", str(jar), "--properties", str(properties)], base_environment())
