"""The plan of one run: is there anything to do, which cluster, which jobs with which arguments."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dags.retraining import clusters, costs, executors

NAME_LIMIT = 63
DISK_TYPE = "network-ssd"  # if the variable's cluster says none


@dataclass(frozen=True)
class Run:
    """What one run of a DAG with a cluster is asked for.

    `begun` is the moment that the run is for, `files` are the raw files that it takes, `as_of` is the day of the
    retrain (None: the newest), `hosts` the number of compute hosts (None: as configured).
    """

    dag_run_id: str
    begun: datetime
    files: list[str] = field(default_factory=list)
    as_of: str | None = None
    hosts: int | None = None
    dry_run: bool = False


def run_name(dag_run_id: str, begun: datetime, stack: str = "", dag: str = "retrain") -> str:
    """A name for the run and its cluster: the same for the same Airflow run, at most 63 of `a-z0-9-`.

    Two runs of one second differ in the digest; the time is there for people. Two stacks of one folder of the cloud
    have runs of the same id at the same time: `stack` (at most 20) comes first.
    """
    digest = hashlib.sha256(dag_run_id.encode()).hexdigest()[:8]
    name = f"{stack or 'fraud'}-{dag}-{begun:%Y%m%dt%H%M%S}-{digest}"
    assert re.fullmatch(rf"[a-z][-a-z0-9]{{1,{NAME_LIMIT - 1}}}", name), name
    return name


def cluster(settings: dict[str, Any], name: str, run: Run, dag: str = "retrain") -> dict[str, Any]:
    """What CreateCluster is told: a light cluster (YARN and Spark, no HDFS) that says whose it is.

    Raises:
        ValueError: the configuration contradicts itself; says how to mend it.
    """
    spec = settings["cluster"]
    return {
        **compute(spec, run.hosts or spec["compute_count"]),
        "hours": spec["hours"],
        "folder_id": spec["folder_id"],
        "cluster_name": name,
        "cluster_description": run.dag_run_id,
        "cluster_image_version": spec["image"],
        "services": ["YARN", "SPARK"],
        "s3_bucket": spec["bucket"],
        "zone": spec["zone"],
        "subnet_id": spec["subnet_id"],
        "security_group_ids": spec.get("security_group_ids") or [],
        "service_account_id": spec["service_account_id"],
        # Makes and removes the hosts of every cluster, also of one that does not grow: rights that jobs do not need.
        "autoscaling_service_account_id": spec.get("autoscaling_service_account_id") or spec["service_account_id"],
        "log_group_id": spec.get("log_group_id"),
        **login(spec),
        "masternode_resource_preset": spec["master_preset"],
        "masternode_disk_type": spec.get("disk_type") or DISK_TYPE,
        "masternode_disk_size": spec["disk_gib"],
        "datanode_count": 0,
        "properties": executors.yarn_properties(spec) | spec["properties"],
        "labels": clusters.labels(name, dag),
    }


def login(spec: dict[str, Any]) -> dict[str, Any]:
    """Who may log in to the hosts: the owners of these keys or, without any, the organisation's people by OS Login.

    The service wants one of the two on every host. OS Login needs image 2.1.20 or 2.2.8 and that the organisation has
    it switched on.
    """
    keys = spec.get("ssh_public_keys")
    return {"ssh_public_keys": list(keys)} if keys else {"oslogin_enabled": True}


def compute(spec: dict[str, Any], hosts: int) -> dict[str, Any]:
    """The compute subcluster: of fixed size, or growing to `max_hosts`; preemptible hosts only if it may grow.

    The service replaces a preempted host only in an autoscaling subcluster, so it ignores the wish in another.
    """
    most = spec.get("max_hosts")
    if spec.get("preemptible") and not most:
        raise ValueError(
            "The variable's cluster.preemptible is true, cluster.max_hosts is missing: only an autoscaling subcluster "
            "has preemptible hosts. Set cluster.max_hosts, or take cluster.preemptible out, and deploy again."
        )
    if most and hosts > most:
        raise ValueError(
            f"{hosts} compute hosts wanted, the variable's cluster.max_hosts is {most}: trigger with {most} or fewer, "
            "or raise cluster.max_hosts and deploy again."
        )
    fixed = {
        "computenode_resource_preset": spec["compute_preset"],
        "computenode_disk_type": spec.get("disk_type") or DISK_TYPE,
        "computenode_disk_size": spec["disk_gib"],
        "computenode_count": hosts,
    }
    if not most:
        return fixed
    return fixed | {"computenode_max_hosts_count": most, "computenode_preemptible": bool(spec.get("preemptible"))}


def job(settings: dict[str, Any], name: str, script: str, sizes: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Arguments of DataprocCreatePysparkJobOperator for one of our jobs; nothing secret is among them.

    Args:
        sizes: Spark's properties that follow from the cluster; what the variable's `spark` says comes first.
    """
    release = f"s3a://{settings['jobs_bucket']}/{settings['release']}"
    return {
        "name": f"{name}-{script}",
        "main_python_file_uri": f"{release}/{script}.py",
        "python_file_uris": [f"{release}/fraud_retraining.zip"],
        "args": ["--lake", f"s3a://{settings['lake_bucket']}", "--run-id", name, *arguments],
        "properties": sizes | settings.get("spark", {}),
    }


def limits(quality: dict[str, Any]) -> list[str]:
    """What `prepare` is told of the deployment's data; without a key its own default holds.

    Raises:
        ValueError: there is no such key.
    """
    known = ("max_quarantine", "refunds", "late_days")
    if unknown := sorted(set(quality) - set(known)):
        raise ValueError(
            f"The variable's quality has {', '.join(unknown)}; its keys are {', '.join(known)}. "
            "Mend it and deploy again."
        )
    words = [f"--{key.replace('_', '-')}={quality[key]}" for key in ("max_quarantine", "late_days") if key in quality]
    return words + (["--refunds"] if quality.get("refunds") else [])


def make(settings: dict[str, Any], tracking_uri: str, run: Run) -> dict[str, Any]:
    """Everything the later tasks of `retrain` need, as one JSON object. A dry run uses no files up."""
    name = run_name(run.dag_run_id, run.begun, settings.get("stack", ""))
    train = ["--release", settings["release"], *mlflow(settings, tracking_uri)]
    train += ["--as-of", run.as_of] if run.as_of else []
    train += ["--dry-run"] if run.dry_run else []
    train += [*price(settings, run), *people(settings), *ripe(settings), *rule(settings)]
    fill = fill_of(settings, run)
    return {
        "run": name,
        "files": [] if run.dry_run else run.files,
        "cluster": cluster(settings, name, run),
        "prepare": job(settings, name, "prepare", fill.for_stages(), *limits(settings.get("quality", {}))),
        "train": job(settings, name, "train", fill.for_barriers(), *train),
    }


def make_score(settings: dict[str, Any], tracking_uri: str, run: Run, version: str) -> dict[str, Any]:
    """Everything the later tasks of `score` need, as one JSON object; ``version`` serves as the run begins."""
    name = run_name(run.dag_run_id, run.begun, settings.get("stack", ""), "score")
    told = [*mlflow(settings, tracking_uri), f"--version={version}"]
    told += [*limits(settings.get("quality", {})), *people(settings)]
    return {
        "run": name,
        "files": run.files,
        "cluster": cluster(settings, name, run, "score"),
        "score": job(settings, name, "score", fill_of(settings, run).for_stages(), *told),
    }


def mlflow(settings: dict[str, Any], tracking_uri: str) -> list[str]:
    """What a job is told of the tracking server."""
    server = ["--mlflow-uri", tracking_uri, "--mlflow-secret", settings["mlflow_secret_id"]]
    return [*server, "--experiment", settings["experiment"], "--model", settings["model"]]


def people(settings: dict[str, Any]) -> list[str]:
    """What a job is told of how many cards a day people look at; its own default holds if nothing is said."""
    budget = settings.get("score", {}).get("budget")
    return [f"--budget={budget}"] if budget else []


def ripe(settings: dict[str, Any]) -> list[str]:
    """What `train` is told of when labels are taken as known; its own default holds if nothing is said."""
    found = settings.get("ripening", {}).get("share")
    return [] if found is None else [f"--ripe={found}"]


def rule(settings: dict[str, Any]) -> list[str]:
    """What `train` is told of how a version is promoted; its own default holds if nothing is said."""
    found = settings.get("promotion", {}).get("rule")
    return [f"--promotion-rule={found}"] if found else []


def price(settings: dict[str, Any], run: Run) -> list[str]:
    """What `train` is told of the cluster's price; nothing where it is not known."""
    prices = settings.get("prices") or {}
    hour = costs.per_hour(prices, run.hosts or settings["cluster"]["compute_count"])
    return [] if hour is None else [f"--price-per-hour={hour:g}", f"--currency={prices.get('currency', '')}"]


def fill_of(settings: dict[str, Any], run: Run) -> executors.Executors:
    """Executors that fill the run's cluster."""
    spec, mode = settings["cluster"], settings.get("spark", {}).get("spark.submit.deployMode", "client")
    return executors.fill(spec, run.hosts or spec["compute_count"], mode)
