"""The secrets of one local stack, made once."""

import secrets

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

RANDOM = (
    "airflow_password",
    "airflow_jwt",
    "airflow_session",
    "mlflow_admin_password",
    "mlflow_trainer_password",
    "mlflow_airflow_password",
    "mlflow_session",
    "object_store_key",
    "object_store_secret",
)


def new_key_pair() -> tuple[str, str]:
    """A service account's authorised key: (private, public), PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def new_secrets() -> dict[str, str]:
    private, public = new_key_pair()
    return {
        **{name: secrets.token_urlsafe(18) for name in RANDOM},
        "airflow_fernet": Fernet.generate_key().decode(),
        "deployer_private_key": private,
        "deployer_public_key": public,
    }
