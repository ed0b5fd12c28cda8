"""Two more weeks, with people: a rollback and its bar, a promotion that is refused and one that is approved."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from subprocess import CompletedProcess
from typing import Any

import pytest

from dags.retraining import history
from stack.common import lockbox, release
from stack.local.state import FOLDER_ID
from stack.local.system import DemoSystem
from tests.drill.serving import register_small_models
from tests.drill.webhook import Webhook
from tests.stack.browser import log_in, shoot
from tests.stack.demo import Demo
from tests.support.waiting import wait_until

pytestmark = pytest.mark.verify

WEAK = "the new one finds nothing"  # the reason of the rollback
NOT_NOW, AGREED = "the figures are of a holiday", "the figures are right"


@pytest.fixture(scope="module")
def chat(stack: Demo, second: Any) -> Iterator[Webhook]:
    """The chat that alerts go to."""
    webhook = Webhook()
    known = lockbox.secrets_by_name(stack.cloud, FOLDER_ID)
    alert = {"conn_type": "http", "password": webhook.url}
    lockbox.put_for_airflow(stack.cloud, FOLDER_ID, known, {"airflow/connections/alert_slack": alert})
    yield webhook
    webhook.close()


@pytest.fixture(scope="module")
def left(stack: Demo, chat: Webhook) -> str:
    """The champion that people have left for a version that is worse; the next retrain must win against that one."""
    champion = stack.aliases()["champion"]
    register_small_models(stack, release.MODEL, release.EXPERIMENT, 1)
    weak = max((one["version"] for one in versions(stack)), key=int)
    done = stack.make("rollback", TO=weak, WHY=WEAK)
    assert done.returncode == 0, done.stdout + done.stderr
    return champion


def versions(stack: Demo) -> list[dict[str, Any]]:
    return list(stack.mlflow("model-versions/search", filter=f"name='{release.MODEL}'")["model_versions"])


def records(stack: Demo) -> list[history.Record]:
    book = history.Book(*DemoSystem(stack.state).lake(), None, release.MODEL)
    assert book.broken() == []
    return book.records()


@dataclass
class Week:
    """A week of the demo whose retrain asks a person; `done` is what `make demo` says in the end."""

    stack: Demo
    number: int
    run_id: str = ""
    done: list[CompletedProcess[str]] = field(default_factory=list)

    def begin(self) -> None:
        """Returns when the retrain waits for an answer."""
        known = self.stack.run_ids()
        self.stack.write(7)
        self.thread = threading.Thread(target=self.make)
        self.thread.start()
        self.run_id = str(next(iter(wait_until(lambda: self.stack.run_ids() - known, "a new run", 1800, 1))))
        wait_until(self.is_decided, "the decision", 1800, 1)
        assert self.task("approve")["state"] == "deferred", self.stack.airflow.xcom(self.run_id, "decide")

    def make(self) -> None:
        self.done.append(self.stack.demo(self.number, APPROVAL=48))

    def task(self, name: str) -> dict[str, Any]:
        return self.stack.airflow.tasks(self.run_id)[name]

    def is_decided(self) -> bool:
        return self.task("approve")["state"] in ("deferred", "success", "failed", "upstream_failed")

    def end(self) -> str:
        """What `make demo` has said."""
        self.thread.join()
        (done,) = self.done
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_a_rollback_is_on_record_and_bars_what_it_left(stack: Demo, chat: Webhook, left: str) -> None:
    last = records(stack)[-1].told
    assert (last["action"], last["from"], last["why"]) == ("rollback", left, WEAK)
    assert stack.aliases()["champion"] == last["to"]
    assert {one["version"]: dict_of(one)["barred"] for one in versions(stack) if "barred" in dict_of(one)} == {
        left: WEAK
    }
    assert [text for text in chat.texts if text.startswith(f"*rollback to version {last['to']}*")]


def dict_of(version: dict[str, Any]) -> dict[str, str]:
    """Tags of a version."""
    return {tag["key"]: tag["value"] for tag in version.get("tags", [])}


def test_a_promotion_that_is_refused_leaves_the_champion(stack: Demo, chat: Webhook, left: str) -> None:
    weak, week = stack.aliases()["champion"], Week(stack, 3)
    week.begin()
    assert stack.names_alive() == []  # nobody pays for a cluster while a person thinks
    path = f"dags/retrain/dagRuns/{week.run_id}/taskInstances/approve/-1/hitlDetails"
    stack.airflow.call("PATCH", path, json={"chosen_options": ["Reject"], "params_input": {"why": NOT_NOW}})
    shown = week.end()
    decision = stack.last()["decision"]
    winner = decision["winner"]
    assert (decision["action"], decision["champion"]["version"]) == ("promote", weak)
    assert {"version": left, "reason": f"it is barred since a rollback: {WEAK}"} in decision["skipped"]
    assert f"fraud version {weak} (version {winner} refused by admin)" in shown
    assert stack.aliases()["champion"] == weak
    told = records(stack)[-1].told
    assert (told["action"], told["version"]) == ("refused", winner)
    assert told["by"] == f"run {decision['run_id']}, refused by admin"
    assert told["why"].endswith(NOT_NOW)
    titles = [text.splitlines()[0] for text in chat.texts]
    assert f"*retrain waits for your approval of version {winner}*" in titles
    assert f"*retrain: promote, refused by admin ({NOT_NOW})*" in titles
    assert scored_by(stack) == weak


def test_a_promotion_that_is_approved_on_airflows_page_serves(stack: Demo, chat: Webhook, left: str, page: Any) -> None:
    week = Week(stack, 4)
    log_in(stack, page)
    week.begin()
    assert stack.names_alive() == []
    page.goto(stack.airflow.answer_url(week.run_id, "approve"))
    page.wait_for_selector("text=The report of this retrain")
    page.locator("input[name=element_why]").fill(AGREED)
    shoot(page, "airflow-approval")
    page.get_by_role("button", name="Approve").click()
    shown = week.end()
    decision = stack.last()["decision"]
    winner = decision["winner"]
    assert f"fraud version {winner} (version {winner} approved by admin)" in shown
    assert stack.aliases()["champion"] == winner
    told = records(stack)[-1].told
    assert (told["action"], told["by"]) == ("promote", f"run {decision['run_id']}, approved by admin")
    assert told["why"].endswith(AGREED)
    assert scored_by(stack) == winner


def scored_by(stack: Demo) -> str:
    """The version that has scored the newest file, of which there is a list for people."""
    newest = sorted(stack.objects("lake", "scores/manifest/"))[-1]
    manifest = stack.read(newest)
    assert stack.objects("lake", f"alerts/{max(manifest['parts'])[len('day=') :][:10]}.csv")
    return str(manifest["version"])


def test_a_bar_is_lifted_and_the_history_tells_it_all(stack: Demo, chat: Webhook, left: str) -> None:
    done = stack.make("unbar", VERSION=left, WHY="it was the holiday")
    assert done.returncode == 0, done.stdout + done.stderr
    actions = [record.told["action"] for record in records(stack)]
    assert actions[-4:] == ["rollback", "refused", "promote", "unbar"]
    told = stack.make("history").stdout
    decision = stack.last()["decision"]
    refused = f"was not promoted, {decision['champion']['version']} stays champion"
    for words in (f": {WEAK}", refused, f"approved by admin, champion: version {decision['champion']['version']} ->"):
        assert words in told
    scored = [text for text in chat.texts if "transactions scored by version" in text]
    for version in (decision["champion"]["version"], decision["winner"]):
        assert [text for text in scored if f"scored by version {version}\n" in text]
