"""Writes the files that credential `config` describes into $RUNTIME_DIRECTORY. Standard library only.

`config` is JSON: `values` (name -> {"value"} or {"lockbox", "key"}), `files` (name -> text with {name} placeholders),
`lockbox` (endpoint), `metadata` (host of the metadata service), `ca` (PEM, may be empty).
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

RETRY_SECONDS = 100  # seconds, below the unit's TimeoutStartSec


def get(url, headers, context=None):
    """JSON of a GET; tries again until RETRY_SECONDS is over, for at boot the network may be late."""
    # No proxy: neither the token nor a payload may pass one.
    handlers = [urllib.request.ProxyHandler({})] + ([urllib.request.HTTPSHandler(context=context)] if context else [])
    opener = urllib.request.build_opener(*handlers)
    end = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            with opener.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = "status {}: {}".format(error.code, error.read(300).decode(errors="replace"))
            lasting = error.code in (400, 403, 404)
        except (OSError, ValueError) as error:
            problem, lasting = str(error), False
        if lasting or time.monotonic() > end:
            sys.exit(f"{url} answers {problem}")
        print(f"{url} answers {problem}; again in 3 s", file=sys.stderr)
        time.sleep(3)


def payloads(config):
    """Lockbox secret -> its entries (key -> text), for all secrets that the configuration names."""
    wanted = sorted({source["lockbox"] for source in config["values"].values() if source.get("lockbox")})
    if not wanted:
        return {}
    url = "http://{}/computeMetadata/v1/instance/service-accounts/default/token".format(config["metadata"])
    token = get(url, {"Metadata-Flavor": "Google"})["access_token"]
    context = ssl.create_default_context()
    if config["ca"]:
        context.load_verify_locations(cadata=config["ca"])
    found = {}
    for secret in wanted:
        url = "{}/lockbox/v1/secrets/{}/payload".format(config["lockbox"], secret)
        entries = get(url, {"Authorization": "Bearer " + token}, context)["entries"]
        found[secret] = {entry["key"]: entry.get("textValue", "") for entry in entries}
    return found


def main():
    with open(os.path.join(os.environ["CREDENTIALS_DIRECTORY"], "config")) as file:
        config = json.load(file)
    known = payloads(config)
    values = {}
    for name, source in config["values"].items():
        if source.get("lockbox"):
            entries = known[source["lockbox"]]
            if not entries.get(source["key"]):
                sys.exit(
                    "Lockbox secret {} has no text under the key {!r}; it has {}".format(
                        source["lockbox"], source["key"], sorted(entries)
                    )
                )
            values[name] = entries[source["key"]]
        else:
            values[name] = str(source["value"])
    for name, text in config["files"].items():
        path = os.path.join(os.environ["RUNTIME_DIRECTORY"], name)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text.format(**values))


if __name__ == "__main__":
    main()
