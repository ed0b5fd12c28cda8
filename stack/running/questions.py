"""What the screen asks, a function for each question: it returns what was found and what of it needs a person."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dags.retraining import approval, history, lake, monitoring
from dags.retraining import clusters as ours
from dags.retraining import costs as ledger
from stack.common.errors import StackError
from stack.common.release import MODEL
from stack.running import reports, shape
from stack.running.airflow_api import DAGS, MONITOR, RETRAIN
from stack.running.system import Absent, System

SECONDS = 8.0  # for one call within a question
MEASURED_DAILY = timedelta(days=2)  # after which what `monitor` found is old
# Jobs of the machines that make a backup, and those that restore one for trial (role `monitoring`).
BACKUPS = ("mlflow-backup@make.service", "pgbackrest@full.service", "pgbackrest@diff.service")
RESTORES = ("mlflow-backup@verify.service", "pgbackrest-verify.service")
NO_ALIAS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes: no such model, no such alias
Found = tuple[Any, list[str]]  # a value of shape.py, what needs a person


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


# ------------------------------------------------------------------------------------------------ the model
def last_move(system: System) -> tuple[history.Record | None, history.Record | None]:
    """(the record after which the version serves that serves now, a record that is open)."""
    book = history.Book(*system.lake(), None, MODEL)
    changing = None
    for number in reversed(book.numbers()):
        record = book.record(number)
        if record.end is None:
            changing = record
        elif record.serves != record.told["from"]:
            return record, changing
    return None, changing


def serving(system: System) -> Found:
    record, changing = last_move(system)
    if not record:
        raise Absent("no version has served yet: the first retrain makes one")
    told, problems = record.told, []
    if changing and datetime.now(UTC) - datetime.fromisoformat(changing.told["when"]) > history.PATIENCE:
        problems.append(f"a change has begun and not ended: {history.in_words(changing)}; the next change settles it")
    version = shape.Serving(
        version=record.serves,
        since=told["when"],
        action=told["action"],
        by=told["by"],
        reason=told["why"],
        link=told["link"],
        changing=history.in_words(changing) if changing else None,
    )
    return version, problems


def service(system: System) -> Found:
    s3, bucket = system.lake()
    mondays = [name for name in lake.names(s3, bucket, "service/") if name[0].isdigit()]
    found = lake.read(s3, bucket, f"service/{mondays[-1]}") if mondays else None
    if not found:
        raise Absent("no week is measured yet: labels come seven days later")
    versions = [
        shape.Served(name, one["average_precision"], one["interval"], one["promised"], one["worse"])
        for name, one in found["versions"].items()
    ]
    monday, money = found["week"][0], found["alerts"]["money"]
    record, _ = last_move(system)
    problems = [
        f"version {one.version} did worse in the week of {monday} than it had promised: `make rollback`, if the "
        "version before was better"
        for one in versions
        if one.worse and record and one.version == record.serves
    ]
    return shape.Week(monday, versions, money["frauds"], money["caught"]), problems


def decision(system: System) -> Found:
    with system.mlflow() as mlflow:
        run = reports.newest(mlflow, seconds=SECONDS)
        if run is None:
            raise Absent("no retrain has decided yet")
        info = run["info"]
        text = reports.artifact(mlflow, info["run_id"], "decision.json", SECONDS)
    if text is None:
        raise StackError(f"the run {info['run_id']} in MLflow has no decision.json")
    told = json.loads(text)
    ended = iso(datetime.fromtimestamp(info["end_time"] / 1000, UTC)) if info.get("end_time") else None
    winner = None if told["winner"] is None else str(told["winner"])
    dry = bool(told.get("dry_run"))
    return shape.Decision(told["action"], told["reason"], winner, told["run_id"], ended, dry), []


def waiting(system: System) -> Found:
    s3, bucket = system.lake()
    book = history.Book(s3, bucket, None, MODEL)
    for asked in approval.unanswered(s3, bucket):
        # What was answered on Airflow's page is carried out at once, and then it is on record.
        if any(f"{record.told['by']},".startswith(f"run {asked['run']},") for record in book.recent()):
            continue
        found = shape.Waiting(
            version=asked["version"],
            champion=asked["champion"],
            run=asked["run"],
            reason=asked["reason"],
            report=asked["report"],
            until=asked["until"],
        )
        return found, [f"{approval.subject(asked)} Answer in Airflow: the task approve of retrain, or the DAG approve"]
    raise Absent("no promotion waits for a person")


def mlflow_server(system: System) -> Found:
    with system.mlflow() as mlflow:
        mlflow.get("health", SECONDS).raise_for_status()
        version = mlflow.get("version", SECONDS).text.strip()
        query = {"name": MODEL, "alias": "champion"}
        answer = mlflow.get("api/2.0/mlflow/registered-models/alias", SECONDS, **query)
    if not answer.ok and not any(code in answer.text for code in NO_ALIAS):
        answer.raise_for_status()
    champion = str(answer.json()["model_version"]["version"]) if answer.ok else None
    record, changing = last_move(system)
    problems = []
    if not changing and champion != (record.serves if record else None):
        problems.append(
            f"the alias champion names version {champion or 'none'}, and by the history version "
            f"{(record.serves if record else None) or 'none'} serves: somebody has moved it by other means than ours"
        )
    return shape.MlflowServer(version, champion), problems


# ------------------------------------------------------------------------------------------------ data
def data(system: System) -> Found:
    s3, bucket = system.lake()
    every = lake.objects(s3, bucket, "raw/")
    raw = {name: item for name, item in sorted(every.items()) if lake.is_raw(name)}
    most = (monitoring.DEFAULTS | (system.told().get("monitor") or {}))["max_age_days"]
    now, problems = datetime.now(UTC), []
    if not raw:
        return None, monitoring.stale(raw, now, most)
    newest = monitoring.newest(raw)
    arrived = raw[newest]["LastModified"]
    late = monitoring.stale(raw, now, most)
    try:
        unused = lake.unused([name for name in every if name], lake.used(s3, bucket, raw))
    except ValueError as strange:
        unused, problems = [], [str(strange)]
    age = (now - arrived).total_seconds() / 86400
    found = shape.Data(newest, iso(arrived), round(age, 2), float(most), bool(late), unused)
    return found, late + problems


def drift(system: System) -> Found:
    found = lake.read(*system.lake(), monitoring.REPORT)
    if not found:
        raise Absent("`monitor` has not measured yet; it does daily, if it is not paused")
    problems = list(found["alarms"])
    old = datetime.now(UTC) - datetime.fromisoformat(found["measured"])
    if old > MEASURED_DAILY and MONITOR in system.switched_on:
        problems.append(f"`monitor` has measured last {old.days} days ago: is it paused, do its runs fail?")
    windows = [*found["files"], *found["runs"], *found["weeks"]]
    violations = [f"{one['name']}: {'; '.join(one['violations'])}" for one in windows if one["violations"]]
    return shape.Drift(found["measured"], len(windows), violations, bool(found["because"])), problems


# ------------------------------------------------------------------------------------------------ runs and money
def schedule(system: System) -> Found:
    airflow = system.airflow()
    found, problems = [], []
    for dag in DAGS:
        paused, due = airflow.next_run(dag)
        if paused and dag in system.switched_on:
            problems.append(f"the DAG {dag} is paused: switch it on in Airflow")
        runs = airflow.runs(dag, limit=5)
        last = runs[0] if runs else None
        ended = next((run for run in runs if run["state"] in ("success", "failed")), None)
        if ended and ended["state"] == "failed":
            problems.append(f"the last run of {dag} failed: {airflow.run_url(ended['dag_run_id'], dag)}")
        state, started = (last["state"], last["start_date"]) if last else (None, None)
        link = airflow.run_url(last["dag_run_id"], dag) if last else None
        found.append(shape.Scheduled(dag, paused, None if paused else due, state, started, link))
    return found, problems


def book_of_costs(system: System) -> ledger.Ledger:
    told = system.told()
    return ledger.Ledger(*system.lake(), told.get("prices") or {}, told.get("budget") or {})


def alive(system: System) -> Found:
    place, book, now = system.place(), book_of_costs(system), datetime.now(UTC)
    found, problems = [], []
    for cluster in ours.everything(place.sdk, place.folder_id):
        if not ours.is_ours(cluster, place.bucket):
            continue
        age = (now - cluster.created_at.ToDatetime(UTC)).total_seconds()
        per_hour = book.per_hour(ours.compute_hosts(place.sdk, cluster.id)[0])
        late = ours.overdue(cluster, now, lambda *_: True)
        if late:
            problems.append(f"the cluster {cluster.name} costs money for nothing: {late}; the DAG sweep deletes it")
        found.append(
            shape.Alive(
                name=cluster.name,
                status=type(cluster).Status.Name(cluster.status),
                dag=cluster.labels.get(ours.DAG_LABEL, RETRAIN),
                run=cluster.description,
                age_seconds=round(age),
                expires=iso(ledger.expiry(cluster.labels.get(ours.EXPIRES_LABEL, ""), now)),
                cost=None if per_hour is None else round(per_hour * age / 3600, 2),
                currency=book.currency,
                overdue=bool(late),
            )
        )
    return found, problems


def costs(system: System) -> Found:
    book, now = book_of_costs(system), datetime.now(UTC)
    recent, spec = book.recent(now), system.told()["cluster"]
    month, ended = ledger.of_month_of(recent, now), [one for one in recent if one.ended]
    last = max(ended, key=lambda one: one.created, default=None)
    hosts = spec.get("max_hosts") or spec["compute_count"]
    problems = list(filter(None, [book.over(RETRAIN, hosts, now, recent)]))
    of_last = (
        None if last is None else shape.LastRun(last.name, last.dag, round(last.seconds), last.amount, last.at_most)
    )
    known = [one.amount for one in month if one.amount is not None]
    return (
        shape.Costs(
            currency=book.currency,
            last_run=of_last,
            month=round(sum(known), 2),
            clusters=len(month),
            unpriced=len(month) - len(known),
            at_most=any(one.at_most for one in month),
            budget_run=book.budget.get("run") or 0,
            budget_month=book.budget.get("month") or 0,
        ),
        problems,
    )


# ------------------------------------------------------------------------------------------------ programs, machines
def airflow_components(system: System) -> Found:
    airflow = system.airflow()
    found = airflow.health()
    problems = [f"Airflow's {name} is {state}" for name, state in found.items() if state != "healthy"]
    errors = airflow.call("GET", "importErrors")["import_errors"]
    problems += [f"Airflow cannot import {error['filename']}" for error in errors]
    return [shape.Component(name, state) for name, state in found.items()], problems


def programs(system: System) -> Found:
    found = system.programs()
    way = "`make resume` starts what was paused" if system.kind == "cloud" else "`make logs` says why"
    problems = [f"{name} is {state}: {way}" for name, state in found.items() if state != "RUNNING"]
    return [shape.Component(name, state) for name, state in found.items()], problems


def machine(ask: Callable[[], Mapping[str, Any]]) -> Found:
    told = ask()
    done = {unit: job["succeeded"] for unit, job in told["jobs"].items()}

    def newest(units: tuple[str, ...]) -> str | None:
        return max(filter(None, (done.get(unit) for unit in units)), default=None)

    certificates = [shape.Certificate(name, one["until"], one["days"]) for name, one in told["certificates"].items()]
    disks = [shape.Disk(path, one["percent"], one["free_gib"]) for path, one in told["disks"].items()]
    return shape.Machine(certificates, disks, newest(BACKUPS), newest(RESTORES)), list(told["problems"])


QUESTIONS: dict[str, Callable[[System], Found]] = {
    "serving": serving,
    "service": service,
    "decision": decision,
    "approval": waiting,
    "data": data,
    "drift": drift,
    "schedule": schedule,
    "clusters": alive,
    "costs": costs,
    "mlflow": mlflow_server,
    "airflow": airflow_components,
    "programs": programs,
}
