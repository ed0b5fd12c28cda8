"""MLflow's user, password and authority: from the environment, else from Lockbox by the identity of the machine."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, MutableMapping, Optional

import requests

from fraud_retraining.errors import RetrainingError

USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
AUTHORITY = "MLFLOW_TRACKING_SERVER_CERT_PATH"
TIMEOUT = 30  # seconds
# Of the boto3 that MLflow's client brings: stores other than Amazon's need not know its newer checksums.
CHECKSUMS = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")


def provide(secret_id: Optional[str], environment: MutableMapping[str, str] = os.environ) -> None:
    """Put MLflow's credentials into this process's environment, where its client looks for them.

    The secret has the entries ``username`` and ``password``, and ``ca``, a certificate (PEM), if the server's own is
    signed by an authority that machines do not know.

    Raises:
        RetrainingError: the secret cannot be read or lacks an entry.
    """
    for name in CHECKSUMS:
        environment.setdefault(name, "when_required")
    if (environment.get(USERNAME) and environment.get(PASSWORD)) or not secret_id:
        return
    entries = read_secret(secret_id, environment)
    missing = {"username", "password"} - set(entries)
    if missing:
        raise RetrainingError(f"Lockbox secret {secret_id} has no entry {sorted(missing)}; add it")
    environment[USERNAME], environment[PASSWORD] = entries["username"], entries["password"]
    if "ca" in entries:
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            file.write(entries["ca"])
        environment[AUTHORITY] = file.name


def read_secret(secret_id: str, environment: MutableMapping[str, str]) -> Dict[str, str]:
    """Text entries of a Lockbox secret's current version, read with the machine's token."""
    metadata = environment.get("YC_METADATA_ADDR", "169.254.169.254")
    endpoint = environment.get("YC_ENDPOINT", "api.cloud.yandex.net")
    token = get(
        f"http://{metadata}/computeMetadata/v1/instance/service-accounts/default/token", {"Metadata-Flavor": "Google"}
    )["access_token"]
    endpoints = {found["id"]: found["address"] for found in get(f"https://{endpoint}/endpoints", {})["endpoints"]}
    address = endpoints.get("lockbox-payload")
    if address is None:
        raise RetrainingError(f"{endpoint} names no endpoint 'lockbox-payload'; check YC_ENDPOINT")
    payload = get(f"https://{address}/lockbox/v1/secrets/{secret_id}/payload", {"Authorization": f"Bearer {token}"})
    return {entry["key"]: entry["textValue"] for entry in payload["entries"] if "textValue" in entry}


def get(url: str, headers: Dict[str, str]) -> Any:
    """JSON answer of a GET; an error names the address and the status, never a header."""
    try:
        answer = requests.get(url, headers=headers, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()
    except requests.HTTPError as error:
        raise RetrainingError(
            f"GET {url} answered {error.response.status_code}: {error.response.text[:200]};"
            " check the cluster's service account and its role on the secret (lockbox.payloadViewer)"
        ) from error
    except requests.RequestException as error:
        raise RetrainingError(f"GET {url} failed: {type(error).__name__}; check the machine's network") from error
