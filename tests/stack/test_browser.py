"""What a person sees: the graph in Airflow, the form that starts a retrain, the report in MLflow."""

import os
from datetime import date
from html import escape
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import unquote

import pytest

from stack.common import release
from tests.stack.browser import log_in, shoot
from tests.stack.demo import Demo
from tests.support.marks import quick


def show_graph(page: Any) -> None:
    """From the page of a run: its graph with all tasks."""
    page.wait_for_selector("text=promote")
    for button in ("Show Graph", "Expand all task groups", "Collapse Details Panel"):
        page.get_by_label(button).click()
    page.locator(".react-flow__controls-fitview").click()


SHAPES = [(width, scheme) for width in (1280, 400) for scheme in ("light", "dark")]


@pytest.mark.parametrize(("width", "scheme"), quick(SHAPES, (400, "dark")))
def test_the_report_opens_by_itself(stack: Demo, cycled: None, browser: Any, width: int, scheme: str) -> None:
    """`make report`: a file that a browser shows without any server."""
    done = stack.make("report")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.split()[-1])
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert stack.last()["decision"]["run_id"] in page.locator("footer").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"report-{width}-{scheme}.png", full_page=True)
        if width == 1280:
            page.screenshot(path=Path(folder) / f"report-top-{scheme}.png")
    page.close()


def report_in(page: Any) -> Any:
    """The report, which MLflow shows in a frame."""
    return page.frame_locator("iframe")


def words_of(day: str) -> str:
    """2018-06-25 as 25 Jun 2018."""
    found = date.fromisoformat(day)
    return f"{found.day} {found:%b %Y}"


def test_the_graph_is_green_in_airflow(stack: Demo, cycled: None, page: Any) -> None:
    log_in(stack, page)
    page.goto(stack.last()["run_url"])
    show_graph(page)
    page.locator(".react-flow__node >> text=success").nth(7).wait_for()
    shoot(page, "airflow-graph")


@pytest.mark.verify  # a whole retrain of its own
def test_a_person_retrains_by_the_form(stack: Demo, cycled: None, page: Any, in_mlflow: Any) -> None:
    airflow, before, aliases = stack.airflow, stack.run_ids(), stack.aliases()
    airflow.call("PATCH", "dags/retrain", json={"is_paused": True})
    log_in(stack, page)
    page.goto(f"{stack.state.url('airflow')}/dags/retrain")
    page.locator("[data-scope=switch][data-part=control]").first.click()
    page.wait_for_selector("[data-scope=switch][data-part=control][data-state=checked]")
    assert not airflow.call("GET", "dags/retrain")["is_paused"]

    page.get_by_label("Trigger Dag").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=element_as_of]").fill(stack.last()["decision"]["as_of"])
    form.locator("input[name=element_compute_hosts]").fill("1")
    for name in ("force", "dry_run"):
        form.locator(f"[id='switch:element_{name}:control']").click()
    page.set_viewport_size({"width": 1440, "height": 900})
    shoot(page, "airflow-trigger")
    form.get_by_role("button", name="Trigger").click()
    page.wait_for_url("**/dags/retrain/runs/manual__*")
    run_id = unquote(page.url.rsplit("/", 1)[1])
    assert run_id not in before
    assert stack.run(run_id)["conf"].items() >= {"force": True, "dry_run": True}.items()

    show_graph(page)
    page.locator(".react-flow__node >> text=success").nth(7).wait_for(timeout=900_000)  # the page refreshes itself
    page.goto(f"{airflow.run_url(run_id)}/tasks/report")
    page.get_by_label("Full screen").click()
    link = page.get_by_role("dialog").locator("a[href*='report.html']").first
    link.wait_for()
    in_mlflow.goto(link.get_attribute("href"))
    report_in(in_mlflow).get_by_text("A dry run, nothing moves").first.wait_for()
    assert stack.aliases() == aliases


def test_the_run_is_readable_in_mlflow(stack: Demo, cycled: None, in_mlflow: Any) -> None:
    in_mlflow.goto(stack.last()["report_url"])
    shown, decision = report_in(in_mlflow), stack.last()["decision"]
    shown.locator(".headline").wait_for()
    assert f"as of {words_of(decision['as_of'])}" in shown.locator("h1").inner_text()
    assert shown.locator("figure svg").count() >= 8
    in_mlflow.get_by_label("Close").first.click()  # MLflow's own assistant covers a third of the page
    shoot(in_mlflow, "mlflow-report")
    in_mlflow.get_by_role("tab", name="Overview").click()
    in_mlflow.wait_for_selector("text=average_precision")


def test_the_experiment_opens_on_its_runs(stack: Demo, cycled: None, in_mlflow: Any) -> None:
    experiment = stack.last()["report_url"].split("/experiments/")[1].split("/")[0]
    in_mlflow.goto(f"{stack.state.url('mlflow')}/#/experiments/{experiment}?workflowType=machine_learning")
    in_mlflow.wait_for_url(f"**/experiments/{experiment}/runs*")
    in_mlflow.wait_for_selector(f"text={stack.last()['decision']['run_id']}")


def test_a_version_says_what_it_is_and_how_to_load_it(stack: Demo, cycled: None, in_mlflow: Any) -> None:
    decision = stack.last()["decision"]
    version = decision["challenger"]["version"]
    in_mlflow.goto(
        f"{stack.state.url('mlflow')}/#/models/{release.MODEL}/versions/{version}?workflowType=machine_learning"
    )
    in_mlflow.wait_for_selector(f"text={decision['reason'][:40]}")
    in_mlflow.wait_for_selector(f"text=models:/{release.MODEL}/{version}")
    in_mlflow.get_by_label("Close").first.click()
    shoot(in_mlflow, "mlflow-version")


def test_the_history_is_readable(stack: Demo, cycled: None) -> None:
    """Why the champion serves; a decision that keeps it is no change of what serves."""
    told, decision = stack.make("history").stdout, stack.last()["decision"]
    assert f"-> {stack.aliases()['champion']}: " in told
    assert (decision["reason"] in told) == (decision["action"] == "promote")


def test_the_card_says_what_was_decided(stack: Demo, first: CompletedProcess[str], page: Any) -> None:
    card = first.stdout[first.stdout.index("╭") :]
    for words in ("decision", "cards to look at", "would have cost", stack.state.url("airflow")):
        assert words in card
    style = "font: 15px/1.18 monospace; white-space: pre-wrap; margin: 0; padding: 12px 16px"
    page.set_content(f"<body style='margin: 0'><pre style='{style}'>$ make demo\n{escape(card)}</pre>")
    page.set_viewport_size({"width": 1130, "height": round(page.locator("pre").bounding_box()["height"])})
    shoot(page, "card")
