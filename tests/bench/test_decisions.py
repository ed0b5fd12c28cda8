"""The bench finds what is wrong with a gate: three defects, each put in on purpose, on small worlds of scores alone."""

from __future__ import annotations

import numpy as np
import pytest

from bench.decisions import peers, plan, report
from bench.decisions.contest import contest, rules
from bench.decisions.entrants import Field, at
from bench.decisions.estimates import mean, rate, share
from bench.decisions.parts import BOTH, GATE, MARGIN, Size
from bench.decisions.plots import OURS
from bench.decisions.summary import Decisions, lost, missed
from bench.decisions.world import Week
from fraud_retraining import tournament
from fraud_retraining.evaluation import ScoredWeek, bootstrap_average_precision
from fraud_retraining.evidence import Evidence
from tests.support.kept import KeptFile

WORLDS, WEEKS, ROWS, CARDS = 4, 6, 1200, 400
SKILLS = {"equal": 0.0, "0.005": 0.03, "0.01": 0.06, "0.05": 0.3}  # above the champion's


def week_of(draw):
    labels = (draw.random(ROWS) < 0.08).astype(int)
    scored = ScoredWeek(labels, draw.integers(0, CARDS, ROWS), np.arange(ROWS) % 7)
    return Week(np.arange(ROWS), scored, scored, np.ones(ROWS))


def scores_of(draw, week, shared, skill):
    """Scores that know the labels with some skill, and err mostly where all others do; calibrated."""
    labels = week.scored.labels
    scores = 1 / (1 + np.exp(-((2.5 + skill) * labels + shared + 0.05 * draw.normal(size=ROWS) - 3.5)))
    return scores * labels.sum() / scores.sum()


def world(seed):
    """A field with a champion, and for each stream of challengers a model a week."""
    draw = np.random.default_rng(seed)
    field = Field([week_of(draw) for _ in range(WEEKS)])
    shared = [draw.normal(size=ROWS) for _ in field.weeks]
    for stream, skill in {"champion": 0.0, **SKILLS}.items():
        for number in range(1 if stream == "champion" else 3):
            pairs = zip(field.weeks, shared, strict=True)
            field.scores[f"{stream} {number}"] = [scores_of(draw, week, one, skill) for week, one in pairs]
    return field


def measured(kinds):
    """What the bench says of rules, on the same worlds each time."""
    rows = []
    for seed in range(WORLDS):
        field, promotions = world(seed), {}
        for stream in SKILLS:
            challengers = [f"{stream} {number % 3}" for number in range(WEEKS)]
            promotions[stream] = {
                name: [(one.week, 0.0) for one in contest(field, "champion 0", challengers, rule())]
                for name, rule in kinds.items()
            }
        rows.append({"promotions": promotions})
    return Decisions(rows, WEEKS)


def failures():
    """Goals that the gate misses on these worlds."""
    return " ".join(missed(measured(rules([GATE], [])), f"gate {GATE}"))


def test_the_gate_as_it_is_promotes_no_equal_model_and_finds_a_large_gain():
    found = failures()
    assert "equal models are promoted" not in found
    assert "a gain of 0.05" not in found


@pytest.mark.verify
def test_a_gate_that_ignores_its_margin_is_found(monkeypatch):
    whole = tournament.broken_conditions

    def marginless(*given):
        return [text for text in whole(*given) if "the gain is below" not in text]

    monkeypatch.setattr(tournament, "broken_conditions", marginless)
    assert "equal models are promoted a year" in failures()


@pytest.mark.verify
def test_a_gate_that_resamples_each_model_by_itself_is_found(monkeypatch):
    def unpaired(self, week, scores, resamples, seed):
        return {
            name: bootstrap_average_precision(week, {name: values}, resamples, seed + number)[name]
            for number, (name, values) in enumerate(scores.items())
        }

    monkeypatch.setattr(Field, "resampled", unpaired)
    assert "a gain of 0.05 is found at once" in failures()


@pytest.mark.verify
def test_peers_rules_promote_equals_where_the_gate_keeps_the_champion():
    """All of them; a t-test takes halves that share rows for independent ones, and calls chance significant."""
    made = peers.all_rules()
    found = {name: len(measured_equals(made[name])) for name in made if "evidence" not in name}
    assert found["the newest wins"] == WORLDS * WEEKS
    assert found["a gate on one week"] == 0
    assert all(found[name] > 0.05 * WORLDS * WEEKS for name in peers.PEERS)


def measured_equals(made):
    """Promotions of equal models by a rule, over all worlds."""
    challengers = [f"equal {number % 3}" for number in range(WEEKS)]
    return [one for seed in range(WORLDS) for one in contest(world(seed), "champion 0", challengers, made())]


@pytest.mark.verify
def test_the_application_decides_as_the_bench_says_that_it_would():
    """Its rule `weeks`, given what earlier weeks have shown, promotes whom the bench's gate with memory promotes."""
    field, gate = world(1), tournament.Gate(resamples=200)
    assert f"either {gate.min_gain} {gate.margin}" == OURS
    either = rules([], [], BOTH)[OURS]
    for stream in ("equal", "0.05"):
        seen, since = {}, []

        def application(week, number, candidates, seen=seen, since=since):
            champion = next(c.version for c in candidates if c.role == "champion")
            if since[-1:] != [champion]:
                since.append(champion)
                seen.clear()
            for version, one in tournament.gains(week, candidates, gate, 42).items():
                seen[version] = seen.get(version, Evidence()).after(number, one.gain, one.variance, gate.margin)
            return tournament.decide(week, candidates, gate, 42, seen)

        challengers = [f"{stream} {number % 3}" for number in range(WEEKS)]
        ours = contest(field, "champion 0", challengers, application)
        assert ours == contest(field, "champion 0", challengers, either())
        assert bool(ours) == (stream == "0.05")


def crossed(true, pairs=1500, weeks=26, deviation=0.006):
    """Share of pairs with this true gain whose evidence ever reaches 100 to 1, looked at every week."""
    draw, found = np.random.default_rng(0), 0
    for gains in draw.normal(true, deviation, (pairs, weeks)):
        evidence = Evidence()
        for week, gain in enumerate(gains):
            evidence = evidence.after(week, gain, deviation**2, MARGIN)
            if evidence.log_e >= np.log(100):
                found += 1
                break
    return found / pairs


def test_looking_every_week_does_not_raise_the_error_of_evidence():
    assert crossed(MARGIN) <= 0.01
    assert crossed(MARGIN + 0.01) > 0.9


def test_evidence_that_is_counted_twice_is_found(monkeypatch):
    after = Evidence.after

    def twice(self, week, gain, variance, margin):
        return after(after(self, week, gain, variance, margin), week + 1000, gain, variance, margin)

    monkeypatch.setattr(Evidence, "after", twice)
    assert crossed(MARGIN) > 0.01


def test_a_week_counts_once_however_often_it_is_decided():
    once = Evidence().after(3, 0.02, 1e-4, MARGIN)
    assert once.after(3, 0.02, 1e-4, MARGIN) == once
    assert once.after(4, 0.02, 1e-4, MARGIN).log_e > once.log_e > 0


def test_the_sentence_of_a_gate_with_memory_says_what_decided():
    field, texts = world(0), []
    kinds = rules([], [MARGIN])

    def told(week, number, candidates):
        found = rule(week, number, candidates)
        texts.append(found["reason"])
        return found

    rule = next(iter(kinds.values()))()
    contest(field, "champion 0", ["0.05 0"] * WEEKS, told)
    assert "compared with champion 0 in 1 week:" in texts[0]
    assert any("to 1, needed 100 to 1; promoted" in text for text in texts)
    assert any("champion stays because the evidence is too weak" in text for text in texts)


def test_an_interval_over_worlds_is_wider_than_one_over_decisions():
    """Ten promotions in one world tell less than one in each of ten."""
    together, apart = rate([10] + [0] * 19, 12), rate([1] * 10 + [0] * 10, 12)
    assert together.value == pytest.approx(apart.value)
    assert together.high > 2 * apart.high
    assert rate([0] * 40, 12).high == pytest.approx(1 - 0.025 ** (1 / 480))
    assert share(0, 10).low == 0
    assert share(10, 10).high == 1
    middle, low, high = mean(np.array([[1.0], [2.0], [3.0]]))
    assert low[0] < middle[0] == 2 < high[0]


def test_harm_is_what_a_worse_model_costs_while_it_serves():
    assert lost([], 0.01, 10) == pytest.approx(0.01)  # never adopted
    assert lost([(5, 0.01)], 0.01, 10) == pytest.approx(0.005)
    assert lost([(0, -0.02)], 0.0, 10) == pytest.approx(0.02)
    assert lost([(0, 0.02)], 0.0, 10) == 0


def test_a_mixture_is_found_by_its_precision():
    rising = np.linspace(0.6, 0.7, 9)
    assert at(rising, 0.65) == pytest.approx(0.5)
    assert at(rising, 0.9) == 1


@pytest.mark.verify
def test_few_small_worlds_make_every_table_and_plot_and_are_kept(tmp_path):
    size, parts = Size(300, 3, 4), [part for part in plan.plan(1, 1) if part[1] in ("stationary", "change")]
    kept = KeptFile(tmp_path / "kept.jsonl", "inputs")
    plan.run(parts, size, kept, 1)
    before = kept.path.read_text()
    plan.run(parts, size, kept, 1)
    assert kept.path.read_text() == before
    text = report.tell(kept.passed(), size, tmp_path / "img")
    assert "1 stationary worlds with 3 weekly decisions" in text
    assert "| one week, minimum gain 0.01 | equal models |" in text
    assert "| change | never retrain |" in text
    made = {path.name for path in (tmp_path / "img").iterdir()}
    assert made == {"gate-power.png", "gate-trade.png", "retraining-worth.png"}
