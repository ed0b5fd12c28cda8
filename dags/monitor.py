"""The DAG `monitor`: every day, without a cluster, is the champion still made for the data that arrive?"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from dags.retraining import alerts, settings
from dags.retraining.compat import DAG, TriggerDagRunOperator, cron, task
from dags.retraining.graphs import alike

RETRIES = {"retries": 2, "retry_delay": timedelta(minutes=1)}


@task(multiple_outputs=True, **RETRIES)
def measure() -> dict:
    """Judges freshness, quarantine, drift and the champion's metrics; returns the findings and whether to retrain."""
    from dags.retraining import history, lake, monitoring, registry

    known = settings.read()
    client, _ = registry.connect()
    with suppress(history.Busy):  # tomorrow is soon enough
        if (moved := history.open_book(client).observe()) and moved.number > 1:
            alerts.send("the champion was moved by other means than ours", history.in_words(moved))
    champion = registry.champion(client, known["model"])
    findings = monitoring.measure(lake.client(), known, champion, datetime.now(UTC))
    print(monitoring.text(findings))
    if findings["alarms"]:
        alerts.send("monitor: the lake needs a look", "\n".join(findings["alarms"]))
    return findings


@task(multiple_outputs=True)
def ask(windows: list[str], because: list[str]) -> dict:
    """Skips the rest, visibly, unless enough windows violate; else names the run of `retrain` to ask for."""
    from dags.retraining import compat, monitoring

    if not windows:
        raise compat.AirflowSkipException(
            f"fewer than {monitoring.ENOUGH} of the last {monitoring.LAST} windows violate: no retrain is needed"
        )
    alerts.send("monitor asks for a retrain", "\n".join(because))
    return {"name": f"monitor__{windows[-1]}", "windows": windows}


@task(trigger_rule="none_failed_min_one_success", **RETRIES)
def remember(windows: list[str], name: str) -> None:
    """Notes the windows that a retrain was asked for, so that they count once."""
    from dags.retraining import lake, monitoring

    monitoring.remember(lake.client(), settings.read()["lake_bucket"], windows, name)


with DAG(
    "monitor",
    schedule=cron("37 7 * * *"),
    dagrun_timeout=timedelta(hours=1),
    tags=["fraud", "drift"],
    **alike("monitor", minutes=30),
) as dag:
    findings = measure()
    wanted = ask(findings["windows"], findings["because"])
    retrain = TriggerDagRunOperator(
        task_id="retrain",
        trigger_dag_id="retrain",
        trigger_run_id=wanted["name"],
        conf={"force": True},
        skip_when_already_exists=True,  # an earlier attempt has asked
    )
    retrain >> remember(wanted["windows"], wanted["name"])
