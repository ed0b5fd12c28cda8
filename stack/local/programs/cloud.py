"""The embedded Yandex Cloud: its accounts, its network, the images of its clusters."""

import json
from typing import Any

from stack.common.envs import ENVS, ROOT, python_of
from stack.common.files import write_private
from stack.common.java import JARS, find_java
from stack.common.storage import REGION
from stack.local.programs.program import Program, base_environment, script
from stack.local.state import (
    CLOUD_ID,
    DEPLOYER_KEY,
    FOLDER_ID,
    GATEWAY_ID,
    NETWORK_ID,
    ROUTE_TABLE_ID,
    SERVICE_ACCOUNTS,
    SUBNET_ID,
    ZONE,
    State,
)

# A job here lives for a minute, and a third of its processor time went into compiling for hours to come (`evaluate` of
# 13 weeks of 1,500 cards: 82 s of a core, 56 so).
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SPARK_DEFAULTS = {
    "spark.master": "local[2]",
    "spark.driver.memory": "2g",
    "spark.driver.extraJavaOptions": QUICK_JAVA,
    "spark.ui.enabled": "false",
}


def spark_image(image: str) -> dict[str, str]:
    name = f"spark-image-{image}"
    yarn = JARS / f"yarn-image-{image}"
    return {
        "python": str(python_of(name)),
        "java_home": str(find_java()),
        "jars": str(JARS / name),
        "yarn": str(yarn) if yarn.exists() else "",
        "classes": str(ENVS / name / "classes"),
    }


def installed_images() -> list[str]:
    return [image for image in ("2.1", "2.2") if python_of(f"spark-image-{image}").exists()]


def common_config(state: State) -> dict[str, Any]:
    """What the endpoint is told wherever it runs: where it is, its object store, what jobs run on."""
    return {
        "state": str(state.folder / "cloud"),
        "grpc_port": state.ports["cloud"],
        "rest_port": state.ports["cloud_rest"],
        "cloud_id": CLOUD_ID,
        "folder_id": FOLDER_ID,
        "object_store": {
            "endpoint": state.url("object_store"),
            "region": REGION,
            "access_key": state.secrets["object_store_key"],
            "secret_key": state.secrets["object_store_secret"],
        },
        "images": {image: spark_image(image) for image in installed_images()},
        "spark_defaults": SPARK_DEFAULTS,
    }


def deployer(state: State) -> dict[str, Any]:
    """The account in whose name people make and remove things."""
    key = {"id": DEPLOYER_KEY, "public_key": state.secrets["deployer_public_key"]}
    return {"id": SERVICE_ACCOUNTS["deployer"], "roles": ["admin"], "key": key}


def cloud_config(state: State) -> dict[str, Any]:
    roles = {
        "airflow": [
            "dataproc.editor",
            "vpc.user",
            "iam.serviceAccounts.user",
            "lockbox.payloadViewer",
            "managed-airflow.integrationProvider",
            "storage.editor",
        ],
        # lockbox.payloadViewer is bound on the one secret that jobs need, when that secret is made
        "dataproc": ["dataproc.agent", "dataproc.provisioner", "storage.editor", "logging.writer"],
    }
    accounts: dict[str, Any] = {name: {"id": SERVICE_ACCOUNTS[name], "roles": roles[name]} for name in roles}
    accounts["deployer"] = deployer(state)
    return common_config(state) | {
        "host": "127.0.0.1",
        "zone": ZONE,
        "service_accounts": accounts,
        "resources": [
            {"@type": "yandex.cloud.vpc.v1.Network", "id": NETWORK_ID, "folderId": FOLDER_ID, "name": "default"},
            {"@type": "yandex.cloud.vpc.v1.Gateway", "id": GATEWAY_ID, "folderId": FOLDER_ID, "name": "nat"},
            {
                "@type": "yandex.cloud.vpc.v1.RouteTable",
                "id": ROUTE_TABLE_ID,
                "folderId": FOLDER_ID,
                "name": "nat",
                "networkId": NETWORK_ID,
                "staticRoutes": [{"destinationPrefix": "0.0.0.0/0", "gatewayId": GATEWAY_ID}],
            },
            {
                "@type": "yandex.cloud.vpc.v1.Subnet",
                "id": SUBNET_ID,
                "folderId": FOLDER_ID,
                "name": "default-a",
                "networkId": NETWORK_ID,
                "zoneId": ZONE,
                "v4CidrBlocks": ["10.128.0.0/24"],
                "routeTableId": ROUTE_TABLE_ID,
            },
        ],
        "instances": [
            {"name": "airflow", "service_account": "airflow", "metadata_port": state.ports["metadata"]},
        ],
        "engine": state.engine,
        # Seconds; the cloud takes minutes, but one wants to see that it is not at once.
        "timings": {"dataproc.cluster.create": 3, "dataproc.cluster.delete": 1},
    }


def cloud(state: State) -> Program:
    """The embedded Yandex Cloud API."""
    (state.folder / "cloud").mkdir(exist_ok=True)
    config = state.folder / "cloud.json"
    write_private(config, json.dumps(cloud_config(state), indent=1))
    return Program(
        [script("stack", "python"), "-m", "local_cloud", "--config", str(config)],
        base_environment() | {"PYTHONPATH": str(ROOT)},
    )
