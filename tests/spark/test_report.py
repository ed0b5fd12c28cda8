"""The report of a retrain: what it says is what was measured; in a browser nothing of it is missing or unreadable."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import date, timedelta

import numpy as np
import pytest

from fraud_retraining import evaluation, service, tournament
from fraud_retraining.evidence import Gain
from fraud_retraining.reporting import figures, gather, inputs, measures, pages, words
from fraud_retraining.tournament import Candidate
from fraud_retraining.training import Settings
from tests.spark import report_case
from tests.support.marks import quick

SECTIONS = [
    "candidates",
    "evidence",
    "curves",
    "scores",
    "budget",
    "calibration",
    "kinds",
    "importance",
    "drift",
    "quality",
]
SECTIONS += ["labels", "history", "calendar", "steps", "card"]
TITLES = {"candidates": "Candidates", "drift": "Drift", "card": "Model card"}


@pytest.fixture(scope="module")
def full():
    return report_case.report()


@pytest.fixture(scope="module")
def first():
    """A first retrain: nobody to compare with, nothing prepared by it, no record in the lake."""
    return report_case.report({"5": "challenger"})


@pytest.fixture(scope="module")
def written(full, first):
    return {"full": pages.written(full), "first": pages.written(first)}


def scored(seed=3, count=3000):
    draw = np.random.default_rng(seed)
    labels = (draw.random(count) < 0.05).astype(int)
    scores = np.round(np.clip(draw.beta(1, 20, count) + labels * draw.beta(1, 3, count), 0, 1), 2)  # many are tied
    return evaluation.ScoredWeek(
        labels, draw.integers(0, 400, count), draw.integers(0, 7, count), np.ones(count)
    ), scores


def test_weighted_metrics_are_those_of_repeated_rows():
    week, scores = scored()
    ranked = measures.Ranked(week.labels, scores)
    weights = np.random.default_rng(1).poisson(1.0, len(scores))
    rows = np.repeat(np.arange(len(scores)), weights)
    again = evaluation.ScoredWeek(week.labels[rows], week.customers[rows], week.days[rows])
    expected = evaluation.metrics(again, scores[rows])
    found = ranked(weights)[2]
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-9)


@pytest.mark.parametrize("top", [5, 100])
def test_the_lists_are_those_of_card_precision(top):
    week, scores = scored()
    days, _ = measures.Lists(week, scores, top)()
    assert measures.of_lists(days, top)[0] == pytest.approx(evaluation.card_precision(week, scores, top), rel=1e-12)
    for listed, found, compromised, money_found, money in days:
        assert 0 <= found <= min(listed, compromised) <= 400
        assert 0 <= money_found <= money


def test_a_card_that_is_drawn_twice_is_two_cards_of_the_list():
    week, scores = scored(count=400)
    days, _ = measures.Lists(week, scores, 10)(np.full(400, 2)[: len(np.unique(week.customers))])
    once, _ = measures.Lists(week, scores, 5)()
    assert [day[1] for day in days] == [2 * day[1] for day in once]


def test_intervals_hold_the_values_and_agree_with_the_slow_way():
    week, scores = scored()
    found = measures.Measured(week, [Candidate("1", "challenger", {}, scores)], 100, 7).intervals(0)
    slow = evaluation.intervals(week, scores, 200, 7)
    values = evaluation.metrics(week, scores)
    for name in ("average_precision", "roc_auc", "card_precision_100", "brier", "calibration"):
        assert found[name][0] < values[name] < found[name][1]
        # of cards with one score at the end of a list another one may be on it
        assert found[name] == pytest.approx(slow[name], rel=0.03 if name == "card_precision_100" else 1e-6)


@pytest.mark.verify
def test_an_input_that_is_shuffled_costs_what_it_is_worth(full):
    by_name = {one.name: one for one in full.importance}
    assert by_name["terminal_id_risk_1day_window"].loss > 0.1 > by_name["tx_during_night"].loss
    assert sum(one.gain for one in full.importance) == pytest.approx(1)
    assert by_name["terminal_id_last_label"].champion_gain is None  # no input of the champion


def test_drift_is_none_of_the_same_rows_and_found_where_it_is(full):
    same = inputs.drifts(report_case.rows(1), report_case.rows(1), ["tx_amount", "terminal_id_days_since_genuine"])
    assert [one.psi for one in same] == [0, 0]
    assert same[1].unknown_train == pytest.approx(0.1, abs=0.01)
    assert full.drift[0].name == "tx_amount"
    assert full.drift[0].psi > words.SOME_DRIFT > full.drift[1].psi


def test_the_data_of_every_figure_lie_beside_it(full, written):
    found = json.loads(written["full"]["report.json"])
    assert found["headline"] == full.headline
    assert found["comparison"]["gain"] == pytest.approx(full.comparison.gain, rel=1e-5)
    parts = [
        "curves",
        "budgets",
        "calibration",
        "scores",
        "kinds",
        "importance",
        "drift",
        "quality",
        "history",
        "steps",
    ]
    assert all(found[part] for part in parts)
    assert len(found["curves"][0]["low"]) == len(found["curves"][0]["recall"]) == 100
    assert "NaN" not in written["full"]["report.json"]


def test_all_that_the_lake_knows_of_champions_is_drawn(full):
    kinds = {(one.version, one.kind) for one in full.history.points}
    assert kinds == {
        ("3", "chosen"),
        ("3", "retrain"),
        ("3", "service"),
        ("4", "chosen"),
        ("4", "retrain"),
        ("4", "service"),
        ("5", "chosen"),
    }
    assert [(one.before, one.after) for one in full.history.changes] == [(None, "3"), ("3", "4")]


def test_what_is_not_known_is_a_line_and_no_empty_plot(first, written):
    page = written["first"]["report.html"]
    assert [name for name in SECTIONS if f'<section id="{name}"' not in page] == []
    assert "This run prepared no raw file" in page
    bare = replace(first, kinds=[], importance=[], drift=[], budgets=[], history=None, steps=[], first=None)
    bare = replace(
        bare, labels=None, absent={**bare.absent, **{name: f"no {name} <here>" for name in words_of_parts()}}
    )
    page = pages.written(bare)["report.html"]
    for name in words_of_parts():
        assert f"no {name} &lt;here&gt;" in page
    assert set(figures.drawn(bare)) == {"curves", "calibration", "scores", "calendar"}


def words_of_parts():
    return ["comparison", "evidence", "labels", "budgets", "kinds", "importance", "drift", "history", "steps"]


def test_the_page_needs_nothing_else_and_takes_no_text_for_markup(written):
    for page in (one["report.html"] for one in written.values()):
        assert re.findall(r"""(?:src|href)=["'](?!#)[^"']*|@import|<script|<link|url\((?!#)""", page) == []
        assert "it finds &lt;nothing&gt; &amp; more" in page
        assert "<nothing>" not in page
        assert re.findall(r"#0000[0-9a-f]{2}\b", page) == []  # no colour that stands for one of the page
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_short_form_says_the_same(full, written):
    text = written["full"]["report.md"]
    assert full.headline in text
    assert full.reason in text
    assert len(text) < 3000
    for one in full.standings:
        assert f"| {one.version} | {one.role} | {one.metrics['average_precision']:.3f}" in text
    assert "finds 204 of 220 compromised cards" in text


def test_why_each_candidate_lost_is_said():
    kept = report_case.report({"5": "champion", "2": "earlier", "4": "challenger"})
    assert kept.action == "keep"
    outcomes = {one.version: one.outcome for one in kept.standings}
    assert outcomes["5"] == "stays champion"
    assert "the gain is below 0.020" in outcomes["4"]
    assert "evidence" not in outcomes["4"]
    assert "the evidence for a gain above 0 is" in kept.reason
    assert outcomes["2"] == "lower AP than version 4"
    assert kept.headline.startswith("Champion 5 stays; version 4 is not shown to be better: ")


def test_the_evidence_of_each_candidate_is_shown_with_the_weeks_that_count(full, written):
    """Of the records in the lake one is of another champion, and one cannot be read."""
    found = {one.version: one for one in full.evidence.pairs}
    assert [week.last for week in found["2"].weeks] == ["2018-07-01", "2018-07-15", "2018-07-22"]
    assert [week.last for week in found["5"].weeks] == ["2018-07-22"]
    assert [week.gain for week in found["2"].weeks[:2]] == [-0.006, -0.011]
    assert found["5"].log_e == found["5"].weeks[-1].log_e > 0 > found["2"].log_e
    page = written["full"]["report.html"]
    assert "evidence/fraud/2018-07-02.json" in page
    assert "promotes from 100 to 1 on" in written["full"]["report.md"]
    assert json.loads(written["full"]["report.json"])["evidence"]["pairs"][0]["weeks"][0]["last"] == "2018-07-22"


@pytest.mark.verify
def test_a_promotion_by_the_evidence_of_weeks_is_told_as_such(monkeypatch):
    """Version 4 is a little better than the champion, week after week, and its week alone does not pass the gate."""
    small = {f"evidence/fraud/2018-{week}.json": one for week, one in WEEKS.items()}
    monkeypatch.setattr(report_case, "RECORDS", {**report_case.RECORDS, **small})
    roles = {"5": "champion", "2": "earlier", "4": "challenger"}
    monkeypatch.setattr(tournament, "gains", lambda *_: {"4": Gain(0.006, 0.004**2), "2": Gain(-0.01, 0.004**2)})
    monkeypatch.setattr(tournament, "broken_guardrails", lambda *_: [])
    alone = report_case.report(roles, rule="week")
    assert alone.action == "keep"
    assert "is shown, and decides nothing here" in pages.written(alone)["report.md"]
    found = report_case.report(roles)
    assert (found.action, found.decided_by, found.comparison.other) == ("promote", "weeks", "4")
    assert found.headline.startswith(
        "Version 4 has shown itself better than champion 5 and shall serve: the evidence of 7 weeks is"
    )
    assert "promoted by the evidence, where the week alone did not decide: version 4" in found.reason
    outcomes = {one.version: one.outcome for one in found.standings}
    assert outcomes == {"4": "wins", "5": "gives way to version 4", "2": "less evidence than version 4"}
    text = pages.written(found)
    assert "or by the" in text["report.html"]
    assert "Evidence over weeks decided" in text["model_card.md"]


WEEKS = {
    f"{day:%m-%d}": {
        "champion": "5",
        "week": [str(day), str(day + timedelta(6))],
        "gains": {"4": {"gain": 0.006, "variance": 0.004**2}},
    }
    for day in (date(2018, 6, 4) + timedelta(7 * week) for week in range(6))
}


@pytest.mark.verify
def test_an_evaluation_has_a_report_of_one_model():
    train, week, models = report_case.world()
    one = report_case.entrants({"5": "challenger"})
    settings = {**asdict(Settings()), "seed": 42}
    about = {
        "as_of": str(report_case.AS_OF),
        "windows": report_case.SPLIT.to_dict(),
        "rows": {"train_rows": 10, "train_frauds": 2, "test_rows": 7, "test_frauds": 1},
        **{name: {"value": value, "interval": [0.1, 0.9]} for name, value in one.challenger.metrics.items()},
        "amount_only_average_precision": 0.1,
        "settings": settings,
        "seconds": 12.5,
    }
    sampled = gather.Samples(train, week)
    parts = {
        **gather.of_week(one.week, [one.challenger], [], 42),
        **gather.of_inputs(models["5"], None, sampled, settings["features"], 42),
    }
    found = gather.evaluation(one.week, one.challenger, about, parts)
    written = pages.written(found)
    assert "An evaluation knows no registry." in written["report.html"]
    assert "It ran on no cluster of its own." in written["report.html"]
    assert found.headline.startswith("A model that is trained as a retrain on 30 Jul 2018 would train it has average")
    assert set(figures.drawn(found)) == {"decision", "calendar", *SECTIONS[2:8]}


UNUSUAL = [
    ({"roles": {"5": "challenger"}, "registered": False}, "Nobody serves: the challenger does not beat ranking by"),
    ({"roles": {"4": "champion", "5": "challenger"}, "registered": False}, "Champion 4 stays: the challenger does not"),
    ({"roles": {"5": "challenger"}, "seen": "4"}, "Champion 4 stays: champion 4 was trained on this test week, so"),
    ({"roles": {"2": "challenger"}}, "Nobody serves: no champion yet; version 2 has AP 0.0"),
]


@pytest.mark.parametrize(("case", "headline"), quick(UNUSUAL, UNUSUAL[2]))
def test_a_retrain_that_nobody_won_has_a_report_too(case, headline):
    found = report_case.report(**case)
    assert found.headline.startswith(headline)
    assert found.challenger.outcome != "stays champion"
    assert not case.get("registered", True) or found.challenger.version in ("2", "5")
    written = pages.written(found)
    assert found.headline in written["report.md"]
    assert ("It is in no registry" in written["model_card.md"]) == (not case.get("registered", True))


def test_people_who_look_at_fewer_cards_find_fewer():
    one = report_case.entrants({"5": "challenger"})
    few, many = (gather.of_week(one.week, [one.challenger], [], 42, budget)["budgets"][0] for budget in (5, 50))
    assert (few.cards, many.cards) == (5, 50)
    assert few.recall < many.recall


def test_a_report_resamples_as_often_as_service():
    assert service.RESAMPLES == measures.MOST_RESAMPLES


# ------------------------------------------------------------------------------------------------ in a browser
MISSING = """() => {
  const bad = [];
  for (const svg of document.querySelectorAll('svg')) {
    const box = svg.getBoundingClientRect();
    if (!svg.getAttribute('aria-label') || box.width < 60 || box.height < 20) bad.push(svg.outerHTML.slice(0, 120));
    for (const text of svg.querySelectorAll('text')) {
      const each = text.getBoundingClientRect();
      const wide = each.left < box.left - 2 || each.right > box.right + 2;
      if (wide || each.top < box.top - 2 || each.bottom > box.bottom + 2)
        bad.push('cut off: ' + text.textContent);
      if (each.height < 9) bad.push('too small: ' + text.textContent);
    }
  }
  if (document.documentElement.scrollWidth > window.innerWidth) bad.push('wider than the window');
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("which", ["full", "first"])
def test_the_page_in_a_browser(new_page, written, tmp_path, which, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    path = tmp_path / "report.html"
    path.write_text(written[which]["report.html"], encoding="utf-8")
    page = new_page(width, scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert (said, asked) == ([], [path.as_uri()])
    assert page.evaluate(MISSING) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 21, 27)"
    assert dark == (scheme == "dark")
    found = axe.Axe().run(page).response["violations"]
    assert [
        (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
    ] == []
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 between margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


AS_MLFLOW_DOES = """page => {
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-scripts';
  frame.style = 'width: 100%; height: 600px';
  frame.src = URL.createObjectURL(new Blob([page], {type: 'text/html'}));
  document.body.append(frame);
}"""


@pytest.mark.parametrize("width", [1280, 400])
def test_the_jumps_work_in_the_frame_of_mlflow(new_page, written, width):
    """A link to a place of the page itself is refused there: the frame has an origin of its own."""
    page, said = new_page(width), []
    page.on("console", lambda message: said.append(message.text))
    page.evaluate(AS_MLFLOW_DOES, written["full"]["report.html"])
    frame = page.frame_locator("iframe")
    for name in ("drift", "card", "candidates"):
        frame.locator("nav a", has_text=re.compile(f"^{TITLES[name]}$")).click(force=True)
        top = frame.locator(f"#{name} h2").evaluate("title => title.getBoundingClientRect().top")
        assert 0 <= top < 100
        frame.locator("html").evaluate("() => scrollTo(0, 0)")
    assert said == []
