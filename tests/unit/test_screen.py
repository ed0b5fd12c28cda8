"""The one screen: what is asked of whom, what cannot be asked, what needs a person, and the shape of its JSON."""

import contextlib
import dataclasses
import io
import json
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import boto3
import pytest
import requests
from moto import mock_aws
from rich.console import Console

from dags.retraining import clusters, costs, history
from stack.common.errors import StackError
from stack.running import asking, questions, screen, shape
from stack.running.airflow_api import Airflow
from stack.running.system import Absent, Mlflow, Place
from tests.support.registry import Models

NOW = datetime.now(UTC)
WEEK = {
    "model": "fraud",
    "week": ["2018-07-02", "2018-07-08"],
    "versions": {
        "2": {"average_precision": 0.61, "interval": [0.5, 0.7], "promised": 0.63, "worse": False},
    },
    "alerts": {"money": {"frauds": 6000.0, "caught": 4200.0}},
}
DRIFT = {
    "champion": "2",
    "measured": NOW.isoformat(timespec="seconds"),
    "alarms": [],
    "files": [
        {"name": "2018-07-09.txt:v2", "psi": {}, "violations": ["PSI of amount is 0.31, at most 0.25 is allowed"]}
    ],
    "runs": [],
    "weeks": [],
    "because": [],
}
MACHINE: dict[str, Any] = {
    "jobs": {
        "mlflow-backup@make.service": {"succeeded": "2026-11-26T02:00:00Z"},
        "pgbackrest@full.service": {"succeeded": "2026-11-22T02:00:00Z"},
        "pgbackrest@diff.service": {"succeeded": "2026-11-27T02:00:00Z"},
        "mlflow-backup@verify.service": {"succeeded": "2026-11-23T03:00:00Z"},
        "mlflow-job@gc.service": {"succeeded": "2026-11-27T05:00:00Z"},
    },
    "certificates": {"tls-proxy": {"until": "2027-02-01T00:00:00Z", "days": 66}},
    "disks": {"/": {"percent": 41, "free_gib": 11.5}},
    "problems": [],
}


class FakeAirflow(Airflow):
    """Airflow's answers by path; `asked` are the calls that came."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.url, self.is_2, self.answers = "http://airflow.test", False, answers
        self.asked: list[tuple[str, str]] = []

    def call(self, method: str, path: str, **_: Any) -> Any:
        self.asked.append((method, path))
        return self.answers[path]


def airflow_answers() -> dict[str, Any]:
    run = {"dag_run_id": "r", "state": "success", "start_date": "2026-11-26T06:00:00Z"}
    found: dict[str, Any] = {
        "monitor/health": {"scheduler": {"status": "healthy"}, "triggerer": {"status": None}},
        "importErrors": {"import_errors": []},
    }
    for dag in questions.DAGS:
        due = (NOW + timedelta(hours=5)).isoformat()
        found[f"dags/{dag}"] = {"is_paused": False, "next_dagrun_run_after": due}
        found[f"dags/{dag}/dagRuns"] = {"dag_runs": [run]}
    return found


class Server(requests.Session):
    """MLflow's answers by the end of the path: (status, JSON or text)."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        super().__init__()
        self.answers = answers

    def request(self, method: str, url: str, **_: Any) -> requests.Response:  # type: ignore[override]
        status, body = next(each for path, each in self.answers.items() if url.endswith(path))
        answer = requests.Response()
        answer.status_code, answer.url = status, url
        answer._content = (body if isinstance(body, str) else json.dumps(body)).encode()
        return answer


def mlflow_answers() -> dict[str, tuple[int, Any]]:
    decision = {"action": "promote", "reason": "AP 0.71 > 0.69", "winner": 2, "run_id": "fraud-retrain-1"}
    return {
        "/health": (200, "OK"),
        "/version": (200, "3.17.2"),
        "/registered-models/alias": (200, {"model_version": {"version": "2"}}),
        "/experiments/get-by-name": (200, {"experiment": {"experiment_id": "1"}}),
        "/runs/search": (200, {"runs": [{"info": {"run_id": "m", "end_time": int(NOW.timestamp() * 1000)}}]}),
        "/get-artifact": (200, decision),
    }


@dataclasses.dataclass
class Fake:
    """A system of which everything can be set."""

    s3: Any
    kind: Literal["demo", "cloud"] = "cloud"
    where: Path = Path("/somewhere/.cloud")
    switched_on: tuple[str, ...] = ("retrain", "score", "sweep", "monitor")
    answers: dict[str, Any] = dataclasses.field(default_factory=airflow_answers)
    registry: dict[str, Any] = dataclasses.field(default_factory=mlflow_answers)
    running: dict[str, str] = dataclasses.field(default_factory=lambda: {"cloud": "RUNNING"})
    machine: Callable[[], dict[str, Any]] = lambda: MACHINE
    variable: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {
            "cluster": {"compute_count": 2},
            "prices": {"currency": "RUB", "master_hour": 6.0, "compute_hour": 10.0},
        }
    )

    def require(self) -> None:
        pass

    def lake(self) -> tuple[Any, str]:
        return self.s3, "lake"

    def told(self) -> dict[str, Any]:
        return self.variable

    def airflow(self) -> Airflow:
        return FakeAirflow(self.answers)

    @contextlib.contextmanager
    def mlflow(self) -> Iterator[Mlflow]:
        yield Mlflow("http://mlflow.test", Server(self.registry))

    def place(self) -> Place:
        return Place(None, "folder", "logs")

    def programs(self) -> dict[str, str]:
        return self.running

    def machines(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        return {"mlflow": self.machine}


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """All is well: version 2 serves, its newest week is measured, nothing drifts enough, one run is paid for."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setattr(clusters, "everything", lambda *_: iter(()))
    monkeypatch.setattr(clusters, "compute_hosts", lambda *_: (2, False))
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="lake")
        for key, value in {
            "raw/2018-07-09.txt": "rows",
            "service/2018-07-02.json": WEEK,
            "service/made.json": {},
            "monitor/report.json": DRIFT,
        }.items():
            put(s3, key, value)
        book = history.Book(s3, "lake", Models(), "fraud")
        for version, before in (("1", None), ("2", "1")):
            change = history.Change(history.PROMOTE, version, f"run {version}", "it is better", before, link="http://x")
            book.carry_out(change)
        yield Fake(s3)


def put(s3: Any, key: str, value: Any) -> None:
    s3.put_object(Bucket="lake", Key=key, Body=(value if isinstance(value, str) else json.dumps(value)).encode())


def lived(s3: Any, minutes: float) -> None:
    """A cluster of this month on record."""
    told = {"cluster": "c", "name": "fraud-1", "dag": "retrain", "run": "r", "created": questions.iso(NOW)}
    told |= {"expires": "", "per_hour": 26.0, "at_most": False}
    put(s3, costs.key("c", NOW), told)
    end = {"ended": questions.iso(NOW), "seconds": minutes * 60, "amount": 26 * minutes / 60}
    put(s3, costs.key("c", NOW, costs.END), told | end)


# ------------------------------------------------------------------------------------------------ what it finds
def test_all_is_well(system: Fake) -> None:
    lived(system.s3, 30)
    whole = asking.ask(system)
    assert (whole.exit_status, whole.problems, whole.unknown) == (0, [], [])
    found = whole.serving.value
    assert found is not None
    assert (found.version, found.action, found.by, found.changing) == ("2", "promote", "run 2", None)
    assert (found.reason, found.link) == ("it is better", "http://x")
    assert whole.service.value == shape.Week(
        "2018-07-02", [shape.Served("2", 0.61, [0.5, 0.7], 0.63, worse=False)], 6000.0, 4200.0
    )
    assert whole.decision.value is not None
    assert (whole.decision.value.action, whole.decision.value.winner) == ("promote", "2")
    assert whole.data.value is not None
    assert (whole.data.value.newest, whole.data.value.late) == ("2018-07-09.txt", False)
    assert whole.data.value.unused == ["2018-07-09.txt"]
    drift = whole.drift.value
    assert drift is not None
    assert (drift.windows, len(drift.violations), drift.retrain_wanted) == (1, 1, False)
    assert whole.costs.value is not None
    assert whole.costs.value.last_run == shape.LastRun("fraud-1", "retrain", 1800, 13.0, at_most=False)
    assert (whole.costs.value.month, whole.costs.value.clusters, whole.costs.value.currency) == (13.0, 1, "RUB")
    assert whole.mlflow.value == shape.MlflowServer("3.17.2", "2")
    assert whole.airflow.value == [shape.Component("scheduler", "healthy")]
    machine = whole.machines["mlflow"].value
    assert machine is not None
    assert (machine.backup, machine.verified) == ("2026-11-27T02:00:00Z", "2026-11-23T03:00:00Z")
    assert machine.certificates == [shape.Certificate("tls-proxy", "2027-02-01T00:00:00Z", 66)]


def test_a_new_system_has_nothing_yet_and_that_is_well(system: Fake) -> None:
    for name in system.s3.list_objects_v2(Bucket="lake")["Contents"]:
        if not name["Key"].startswith("raw/"):
            system.s3.delete_object(Bucket="lake", Key=name["Key"])
    missing = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
    system.registry |= {"/registered-models/alias": missing, "/experiments/get-by-name": missing}
    whole = asking.ask(system)
    states = {name: getattr(whole, name).state for name in ("serving", "service", "decision", "drift", "mlflow")}
    assert states == {**dict.fromkeys(("serving", "service", "decision", "drift"), "absent"), "mlflow": "well"}
    assert whole.exit_status == 0
    assert whole.serving.why == "no version has served yet: the first retrain makes one"


def late(system: Fake) -> None:
    system.variable["monitor"] = {"max_age_days": -1}


def worse(system: Fake) -> None:
    versions = {"2": WEEK["versions"]["2"] | {"worse": True}}  # type: ignore[index]
    put(system.s3, "service/2018-07-09.json", WEEK | {"versions": versions})


def test_a_version_that_was_left_may_have_done_worse(system: Fake) -> None:
    versions = {"1": WEEK["versions"]["2"] | {"worse": True}}  # type: ignore[index]
    put(system.s3, "service/2018-07-09.json", WEEK | {"versions": versions})
    whole = asking.ask(system)
    assert (whole.exit_status, whole.service.state) == (0, "well")


def over_budget(system: Fake) -> None:
    system.variable["budget"] = {"run": 12}


def paused(system: Fake) -> None:
    system.answers["dags/sweep"] = {"is_paused": True, "next_dagrun_run_after": None}


def failed(system: Fake) -> None:
    runs = [
        {"dag_run_id": f"r{n}", "state": state, "start_date": None} for n, state in enumerate(("running", "failed"))
    ]
    system.answers["dags/score/dagRuns"] = {"dag_runs": runs}


def moved_by_hand(system: Fake) -> None:
    system.registry["/registered-models/alias"] = (200, {"model_version": {"version": "1"}})


def sick(system: Fake) -> None:
    system.answers["monitor/health"] = {"scheduler": {"status": "unhealthy"}}


def dead(system: Fake) -> None:
    system.running["cloud"] = "FATAL"


def full(system: Fake) -> None:
    system.machine = lambda: MACHINE | {"problems": ["/ is 97 % full, 0.9 GiB are free"]}


def old_measurement(system: Fake) -> None:
    put(system.s3, "monitor/report.json", DRIFT | {"measured": (NOW - timedelta(days=3)).isoformat()})


def alarm(system: Fake) -> None:
    put(system.s3, "monitor/report.json", DRIFT | {"alarms": ["too many bad rows"]})


def strange_file(system: Fake) -> None:
    put(system.s3, "raw/notes.doc", "x")


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (late, "data: no raw file for 0.0 days, at most -1 are allowed; the newest is 2018-07-09.txt"),
        (worse, "service: version 2 did worse in the week of 2018-07-02 than it had promised: `make rollback`"),
        (over_budget, "costs: A run of retrain would cost about 13.00 RUB"),
        (paused, "schedule: the DAG sweep is paused: switch it on in Airflow"),
        (failed, "schedule: the last run of score failed: http://airflow.test/dags/score/runs/r1"),
        (moved_by_hand, "mlflow: the alias champion names version 1, and by the history version 2 serves"),
        (sick, "airflow: Airflow's scheduler is unhealthy"),
        (dead, "programs: cloud is FATAL: `make resume` starts what was paused"),
        (full, "machine mlflow: / is 97 % full, 0.9 GiB are free"),
        (old_measurement, "drift: `monitor` has measured last 3 days ago"),
        (alarm, "drift: too many bad rows"),
        (strange_file, "data: raw/ holds notes.doc: no raw file by its name"),
    ],
)
def test_what_needs_a_person_is_said_and_is_status_1(system: Fake, happens: Callable[[Fake], None], said: str) -> None:
    happens(system)
    whole = asking.ask(system)
    (problem,) = whole.problems
    assert problem.startswith(said)
    assert (whole.exit_status, whole.unknown) == (1, [])
    assert problem.partition(": ")[2] in printed(whole, 400)


def asked(run: str, hours: float) -> dict[str, Any]:
    until = (NOW + timedelta(hours=hours)).isoformat()
    told = {"run": run, "version": "3", "champion": "2", "reason": "it is better", "report": "http://x"}
    return told | {"asked": NOW.isoformat(), "until": until}


def test_a_promotion_that_waits_for_a_person_needs_one(system: Fake) -> None:
    put(system.s3, "approvals/old-3.json", asked("old", -1))
    put(system.s3, "approvals/2-3.json", asked("2", 5))  # was answered on Airflow's page: `run 2` is on record
    assert asking.ask(system).approval.state == "absent"
    put(system.s3, "approvals/23-3.json", asked("23", 5))
    whole = asking.ask(system)
    assert whole.approval.value is not None
    assert (whole.approval.value.version, whole.approval.value.run) == ("3", "23")
    (problem,) = whole.problems
    assert problem.startswith("approval: Shall version 3 serve instead of 2? Answer in Airflow")
    validate(json.loads(json.dumps(dataclasses.asdict(whole))), shape.Screen)
    put(system.s3, "approvals/23-3.answer.json", {"verdict": "refused", "by": "ann", "why": ""})
    assert asking.ask(system).exit_status == 0


def test_a_cluster_that_outlived_its_time_needs_a_person(system: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    from google.protobuf.timestamp_pb2 import Timestamp
    from yandex.cloud.dataproc.v1.cluster_pb2 import Cluster

    def cluster(name: str, hours: float, bucket: str = "logs") -> Cluster:
        made = Timestamp()
        made.FromDatetime(NOW - timedelta(hours=hours))
        labels = clusters.labels(name, "retrain") | {
            "expires": (NOW + timedelta(hours=6 - hours)).strftime(clusters.LABEL_TIME)
        }
        return Cluster(id=name, name=name, bucket=bucket, labels=labels, created_at=made, status=Cluster.RUNNING)

    there = [cluster("young", 1), cluster("old", 7), cluster("theirs", 9, "logs-of-another")]
    monkeypatch.setattr(clusters, "everything", lambda *_: iter(there))
    whole = asking.ask(system)
    assert whole.clusters.value is not None
    young, old = whole.clusters.value
    assert (young.name, young.status, young.overdue, young.cost) == (
        "young",
        "RUNNING",
        False,
        pytest.approx(26, abs=5),
    )
    assert (old.name, old.overdue, round(old.age_seconds / 3600)) == ("old", True, 7)
    assert whole.problems[0].startswith("clusters: the cluster old costs money for nothing: it expired at")


# ------------------------------------------------------------------------------------------------ what cannot be asked
def test_what_cannot_be_asked_says_so_and_the_rest_is_shown(system: Fake) -> None:
    system.registry["/health"] = (503, "gone")
    system.answers.clear()

    def unreachable() -> dict[str, Any]:
        raise StackError("mlflow gives no answer by ssh within 24 s")

    system.machine = unreachable
    whole = asking.ask(system)
    assert [text.partition(":")[0] for text in whole.unknown] == ["schedule", "mlflow", "airflow", "machine mlflow"]
    assert whole.machines["mlflow"].why == "mlflow gives no answer by ssh within 24 s"
    assert "answers 503" in whole.mlflow.why
    assert (whole.exit_status, whole.serving.state, whole.problems) == (2, "well", [])
    late(system)
    assert asking.ask(system).exit_status == 1, "what needs a person comes first"


def test_who_is_silent_holds_nobody_up(system: Fake) -> None:
    ended = threading.Event()

    def silent() -> dict[str, Any]:
        ended.wait(60)
        return MACHINE

    system.machine = silent
    begun = datetime.now(UTC)
    whole = asking.ask(system, seconds=5)
    ended.set()
    assert datetime.now(UTC) - begun < timedelta(seconds=20)
    assert (whole.machines["mlflow"].state, whole.machines["mlflow"].why) == ("unknown", "no answer within 5 s")
    assert whole.serving.state == "well"


def test_what_does_not_run_at_all_is_said_once(system: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: Fake) -> None:
        raise StackError("nothing runs in /x: `make demo` starts it")

    monkeypatch.setattr(Fake, "require", stopped)
    whole = asking.ask(system)
    assert (whole.exit_status, whole.machines) == (2, {})
    assert printed(whole).count("nothing runs in /x: `make demo` starts it") == 1
    validate(json.loads(json.dumps(dataclasses.asdict(whole))), shape.Screen)


def test_what_is_no_part_of_a_system_is_no_fault_of_it(system: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: Fake) -> dict[str, str]:
        raise Absent("in the cloud there are none")

    monkeypatch.setattr(Fake, "programs", none)
    whole = asking.ask(system)
    assert (whole.exit_status, whole.programs.state) == (0, "absent")


# ------------------------------------------------------------------------------------------------ its shape
def validate(
    value: Any, kind: Any, where: str = "screen", known: Mapping[Any, Any] = types.MappingProxyType({})
) -> None:
    """Compares a JSON value with a type of shape.py: every key, nothing besides, each value of its kind."""
    kind = known.get(kind, kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            assert type(None) in inner, where
            return
        (kind,) = (each for each in inner if each is not type(None))
        validate(value, kind, where, known)
    elif origin is Literal:
        assert value in inner, where
    elif origin is list:
        assert isinstance(value, list), where
        for number, each in enumerate(value):
            validate(each, inner[0], f"{where}[{number}]", known)
    elif origin is dict:
        for name, each in value.items():
            validate(each, inner[1], f"{where}.{name}", known)
    elif dataclasses.is_dataclass(origin or kind):
        record = origin or kind
        variables = dict(zip(getattr(record, "__parameters__", ()), inner, strict=True))
        hints = get_type_hints(record)
        assert value.keys() == hints.keys(), where
        for name, hint in hints.items():
            validate(value[name], hint, f"{where}.{name}", variables)
    else:
        assert not isinstance(kind, TypeVar), where
        assert isinstance(value, (int, float) if kind is float else kind), f"{where} is {value!r}"
        assert isinstance(value, bool) == (kind is bool), where


def test_the_json_has_the_shape_that_is_documented(system: Fake) -> None:
    lived(system.s3, 30)
    told = json.loads(json.dumps(dataclasses.asdict(asking.ask(system))))
    validate(told, shape.Screen)
    assert told["format"] == shape.FORMAT
    told["serving"]["value"]["since"] = None
    with pytest.raises(AssertionError, match="since"):
        validate(told, shape.Screen)


def test_the_keys_are_those_that_others_rely_on() -> None:
    """A key that goes or changes its name breaks somebody's script: then `format` must grow."""
    keys = [each.name for each in dataclasses.fields(shape.Screen)]
    assert (shape.FORMAT, keys) == (
        1,
        [
            *("format", "kind", "where", "asked", "exit_status", "problems", "unknown"),
            *("serving", "service", "decision", "approval", "data", "drift", "schedule", "clusters", "costs"),
            *("mlflow", "airflow", "programs", "machines"),
        ],
    )


# ------------------------------------------------------------------------------------------------ as a person sees it
def printed(whole: shape.Screen, width: int = 100) -> str:
    out = io.StringIO()
    screen.show(whole, Console(file=out, width=width, highlight=False, soft_wrap=True))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_it_fits_the_terminal_and_has_no_colours_where_nobody_sees_them(system: Fake, width: int) -> None:
    lived(system.s3, 30)
    text = printed(asking.ask(system), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    assert text.startswith("cloud in /somewhere/.cloud, ")
    assert text.splitlines()[0].endswith(" UTC: all is well")
    for said in (
        "ok serving",
        "version 2 since",
        "13.00 RUB",
        "last verified restore 2026-11-23 03:00 (",
        "66 days left",
    ):
        assert said in " ".join(text.split())


def test_spans_are_told_in_the_unit_that_fits() -> None:
    spans = [screen.length(seconds) for seconds in (90, 150, 7300, 200_000)]
    assert spans == ["90 s", "2 min", "2 h", "2 days"]
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert screen.ago("2026-11-27T17:00:00+00:00", noon) == "17:00 (in 5 h)"
    assert screen.ago("2026-11-25T11:30:00Z", noon) == "2026-11-25 11:30 (2 days ago)"
    assert screen.ago(None, noon) == "never"
