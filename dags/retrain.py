"""The DAG `retrain`: new data, a new model on a cluster of its own, a fair comparison, the better one serves."""

from datetime import timedelta
from typing import Any

from dags.retraining import alerts, approval, settings
from dags.retraining.asking import Approval
from dags.retraining.cluster_group import on_cluster
from dags.retraining.compat import DAG, DECIDED, Param, task, when_due_or_announced
from dags.retraining.graphs import QUICK, alike

# An attempt that waits is not slow: on Airflow 2 its time goes on while it waits.
WAITING = approval.LONGEST + timedelta(hours=1)


@task(multiple_outputs=True, **QUICK)
def check(params: dict, dag_run: Any = None) -> dict:
    """Skips the run, visibly, if the lake holds nothing new; else returns the plan of the run.

    A backfilled run retrains as on its own date, whether or not its files have been used since.
    """
    from dags.retraining import compat, lake, plan, registry

    known = settings.read()
    begun, backfill = compat.moment(dag_run), compat.is_backfill(dag_run)
    as_of = params["as_of"] or (f"{begun:%Y-%m-%d}" if backfill else None)
    s3 = lake.client()
    raw = {name: item for name, item in lake.objects(s3, known["lake_bucket"], "raw/").items() if name}
    try:
        files = lake.unused(raw, lake.used(s3, known["lake_bucket"], raw), as_of)
    except ValueError as strange:
        raise compat.AirflowFailException(str(strange)) from None
    if not (files or backfill or params["force"]):
        before = f" from before {as_of}" if as_of else ""
        raise compat.AirflowSkipException(
            f"nothing new: of {len(raw)} raw files all{before} have been used; force=true retrains anyway"
        )
    uri = registry.tracking_uri(compat.connection(registry.CONNECTION))
    run = plan.Run(dag_run.run_id, begun, files, as_of, params["compute_hosts"], params["dry_run"])
    made = plan.make(known, uri, run)
    return made | {"etags": {name: raw[name]["ETag"] for name in made["files"]}}


@task(**QUICK)
def decide(run: str) -> dict:
    """Reads what the comparison on the cluster found: promote, keep or reject, and why."""
    from dags.retraining import registry

    client, _ = registry.connect()
    decision = registry.read_decision(client, settings.read()["experiment"], run)
    print(f"{decision['action']}: {decision['reason']}")
    return decision


@task(outlets=[DECIDED], **QUICK)
def promote(decision: dict, answer: dict | None) -> str:
    """Moves the alias `champion`, if that is the decision, nobody has refused it, and the champion is still the one
    that was compared."""
    from dags.retraining import compat, history, registry

    client, uri = registry.connect()
    link = registry.report_url(uri, client, decision["mlflow_run_id"])
    asked = approval.is_wanted(settings.read(), decision)
    try:
        return history.promote(history.open_book(client), decision, link, answer, asked)
    except history.Refused as refused:
        raise compat.AirflowFailException(str(refused)) from None


@task(on_success_callback=alerts.decided, **QUICK)
def report(run: str, etags: dict[str, str], decision: dict, promoted: str) -> str:
    """Marks the raw files as used and returns the address of the run's report in MLflow."""
    from dags.retraining import lake, registry

    client, uri = registry.connect()
    lake.mark_used(lake.client(), settings.read()["lake_bucket"], run, etags)
    print(f"{promoted}\n{decision['reason']}")
    return registry.report_url(uri, client, decision["mlflow_run_id"])


with DAG(
    "retrain",
    schedule=when_due_or_announced(settings.deployed()["schedule"], "fraud-lake"),
    dagrun_timeout=timedelta(hours=6) + approval.LONGEST,
    params={
        "force": Param(False, type="boolean", description="retrain although nothing is new"),
        "as_of": Param(
            None, type=["null", "string"], format="date", description="the day of the retrain; default: the newest"
        ),
        "dry_run": Param(
            False,
            type="boolean",
            description="train, compare and report; register no version, move no alias, use up no file",
        ),
        "compute_hosts": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=32,
            description="size of the cluster: hosts that compute; default: as configured",
        ),
    },
    tags=["fraud", "training"],
    **alike("retrain", minutes=120),
) as dag:
    plan = check()
    train = on_cluster(plan, ["prepare", "train"])
    decision = decide(plan["run"])
    train >> decision
    answer = Approval(task_id="approve", decision=decision, **QUICK | {"execution_timeout": WAITING})
    report(plan["run"], plan["etags"], decision, promote(decision, answer.output))
