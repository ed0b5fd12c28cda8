"""A retrain's report without Spark: made-up rows that look like a week of the lake, real boosters, the real gate."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import xgboost

from fraud_retraining import evidence, ripening, tournament
from fraud_retraining.dataset import Days, Split
from fraud_retraining.evaluation import ScoredWeek, metrics
from fraud_retraining.features import ALL_FEATURES
from fraud_retraining.model import predict
from fraud_retraining.reporting import gather, pages, records
from fraud_retraining.tournament import Candidate
from fraud_retraining.training import Data, Entrants, Request, Settings

ROWS, CARDS, SEED = 20_000, 2_000, 5
SPLIT = Split(
    Days(pd.Timestamp("2018-06-11").date(), pd.Timestamp("2018-07-08").date()),
    Days(pd.Timestamp("2018-07-09").date(), pd.Timestamp("2018-07-15").date()),
    Days(pd.Timestamp("2018-07-16").date(), pd.Timestamp("2018-07-22").date()),
)
AS_OF = pd.Timestamp("2018-07-30").date()


def rows(seed, count=ROWS, moved=0.0):
    """Rows with all inputs, ``tx_fraud`` and its kind; ``moved`` shifts amounts, as time does."""
    draw = np.random.default_rng(seed)
    kind = draw.choice([0, 1, 2, 3], count, p=[0.988, 0.002, 0.007, 0.003])
    made = pd.DataFrame({name: draw.gamma(2, 2, count) for name in ALL_FEATURES})
    made["tx_amount"] = draw.gamma(2, 27 * (1 + moved), count) + np.where(kind == 1, 200, 0)
    for name in ALL_FEATURES:
        if name.startswith("terminal_id_risk"):
            made[name] = np.clip(draw.beta(0.3, 40, count) + (kind == 2) * draw.beta(4, 4, count), 0, 1)
        if name in ("tx_during_weekend", "tx_during_night", "terminal_id_last_label", "tx_amount_is_high"):
            made[name] = (draw.random(count) < 0.2).astype(float)
    made["tx_amount_is_high"] = (made["tx_amount"] > 220).astype(float)
    made["customer_id_amount_ratio"] = np.where(kind == 3, draw.gamma(4, 1.2, count), draw.gamma(4, 0.27, count))
    made.loc[draw.random(count) < 0.1, "terminal_id_days_since_genuine"] = np.nan
    made["tx_fraud"], made["weight"], made["kind"] = (kind > 0).astype(int), 1.0, kind
    made["customer_id"] = draw.integers(0, CARDS, count)
    made["day"] = (pd.Timestamp("2018-07-16") + pd.to_timedelta(draw.integers(0, 7, count), "D")).astype("int64")
    return made


def booster(train, names, trees):
    """A model of some of the inputs."""
    data = xgboost.DMatrix(train[names], train["tx_fraud"])
    made = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "eta": 0.2, "seed": SEED}, data, trees)
    made.feature_names = list(names)
    return made


def won(version, day, found):
    """What ``train`` leaves of a version, measured on the week that ends on a day."""
    return {
        "version": version,
        "model": "fraud",
        "windows": {"test": ["", day]},
        "average_precision": found,
    }


def served(version, sunday, found, promised):
    """A week in service."""
    one = {
        "average_precision": found,
        "interval": [found - 0.06, found + 0.06],
        "promised": promised,
    }
    return {"model": "fraud", "week": ["", sunday], "versions": {version: one}}


def compared(champion, sunday, gains):
    """What a retrain leaves of the gains of a test week; all of one variance."""
    first = str((pd.Timestamp(sunday) - pd.Timedelta(6, "D")).date())
    found = {version: {"gain": gain, "variance": 0.006**2} for version, gain in gains.items()}
    return {f"evidence/fraud/{first}.json": {"champion": champion, "week": [first, sunday], "gains": found}}


def corrected(first, reached):
    """The manifest of a week's file: of each day 40 frauds come with it, 1 a day for 12 days by corrected files."""
    monday = pd.Timestamp(first)
    frauds = {}
    for place in range(7):
        day, came = monday + pd.Timedelta(place, "D"), monday + pd.Timedelta(7, "D")
        later = {
            str((came + pd.Timedelta(n, "D")).date()): 1 for n in range(1, 13) if came + pd.Timedelta(n, "D") <= reached
        }
        frauds[str(day.date())] = {str(came.date()): 40, **later}
    parts = {f"day={day}/x.parquet": 9600 for day in frauds}
    return {"first_seen": str(came.date()), "frauds": frauds, "parts": parts}


def ripe():
    """How the labels of ten such weeks ripen."""
    on = pd.Timestamp(AS_OF)
    weeks = [on - pd.Timedelta(7 * number, "D") for number in range(1, 11)]
    return ripening.estimate([corrected(week, on) for week in weeks], AS_OF, ripe=0.9)


def change(number, action, before, after, why):
    """A record of what served, and its second half."""
    told = {
        "action": action,
        "from": before,
        "to": after,
        "when": f"2018-07-{7 * number - 5:02d}T06:40:12+00:00",
        "by": f"run fraud-retrain-{number}",
        "why": why,
    }
    return {f"history/{number:08d}.json": told, f"history/{number:08d}.done.json": {"outcome": "done"}}


BAD = {"terminal_id": 41, "tx_amount": 12, "duplicate": 9}
RECORDS = {
    "runs/fraud-retrain-20180730t064000-9c0d1e2f/prepare.json": {
        "files": ["2018-07-09.txt.gz", "2018-07-16.txt"],
        "rows": 67_412,
        "prepared": 67_350,
        "quarantined": BAD,
        "unlabelled": 310,
        "seconds": 48.2,
    },
    "manifest/2018-07-16.txt.json": {
        "file": "2018-07-16.txt",
        "rows": 66_900,
        "prepared": 66_838,
        "quarantined": BAD,
    },
    "manifest/2018-07-09.txt.gz.json": {
        "file": "2018-07-09.txt.gz",
        "rows": 512,
        "prepared": 512,
        "quarantined": {},
        "corrected": {"labels": 17, "added": 2, "removed": 0},
    },
    "monitor/reference/fraud-3.json": won("3", "2018-06-24", 0.93),
    "monitor/reference/fraud-4.json": won("4", "2018-07-08", 0.94),
    "monitor/runs/a.json": won("3", "2018-07-01", 0.90),
    "monitor/runs/b.json": won("3", "2018-07-08", 0.885),
    "monitor/runs/c.json": won("4", "2018-07-15", 0.925),
    "service/2018-06-25.json": served("3", "2018-07-01", 0.895, 0.93),
    "service/2018-07-02.json": served("3", "2018-07-08", 0.87, 0.93),
    "service/2018-07-09.json": served("4", "2018-07-15", 0.92, 0.94),
    "service/made.json": {},
    **compared("3", "2018-06-24", {"2": 0.02}),
    **compared("4", "2018-07-01", {"2": -0.006, "3": 0.004}),
    "evidence/fraud/2018-07-02.json": "half of a rec",
    **compared("4", "2018-07-15", {"2": -0.011, "3": -0.003}),
    **change(1, "promote", None, "3", "no champion yet; version 3 has AP 0.930, the floor is 0.300; promoted"),
    **change(2, "promote", "3", "4", "version 4 (challenger) has AP 0.940 against 0.885 of champion 3; promoted"),
}


class Files:
    """Small files of a lake by path."""

    def __init__(self, content):
        self.content = content

    def list(self, folder):
        names = [path[len(folder) + 1 :] for path in sorted(self.content) if path.startswith(folder + "/")]
        return [SimpleNamespace(name=name) for name in names]

    def exists(self, path):
        return path in self.content

    def read_json(self, path):
        return self.content[path]


@lru_cache(maxsize=None)
def world():
    """Train rows, test rows and three models: earlier, champion, challenger."""
    train, week = rows(1), rows(2, moved=0.35)
    some = [name for name in ALL_FEATURES if not name.startswith("terminal_id_spell")]
    models = {
        "2": booster(train, some[:8], 10),
        "4": booster(train, some[:11], 25),
        "5": booster(train, ALL_FEATURES, 40),
    }
    return train, week, models


def entrants(roles):
    """The candidates of these roles by version."""
    train, rows_of_week, models = world()
    week = ScoredWeek(
        *(rows_of_week[name].to_numpy() for name in ("tx_fraud", "customer_id", "day")),
        amounts=rows_of_week["tx_amount"].to_numpy(),
        kinds=rows_of_week["kind"].to_numpy("float64"),
    )
    found = []
    for version, role in roles.items():
        scores = predict(models[version], rows_of_week)
        found.append(Candidate(version, role, metrics(week, scores), scores))
    boosters = {version: models[version] for version in roles}
    skipped = [{"version": "1", "reason": "it is barred since a rollback: it finds <nothing> & more"}]
    return Entrants(week, found, found[-1], models["5"], boosters, skipped, 0.135, len(train))


def report(roles=None, registered=True, seen=None, rule="weeks"):
    """The report of a retrain: version 5 against champion 4, or of other roles by version.

    Without ``registered`` the challenger does not compete; ``seen`` is a champion that knows the test week.
    """
    roles = {"2": "earlier", "4": "champion", "5": "challenger"} if roles is None else roles
    settings, field = Settings(), entrants(roles)
    if not registered:
        field = replace(field, candidates=field.candidates[:-1], challenger=replace(field.challenger, version=None))
    settings = replace(settings, gate=replace(tournament.GATES[rule], resamples=200))
    champion = next((one for one in field.candidates if one.role == "champion"), None)
    lake = SimpleNamespace(files=Files(RECORDS if champion else {}))
    gained = tournament.gains(field.week, field.candidates, settings.gate, settings.seed)
    memory = gained and evidence.remember(lake, "fraud", evidence.Week(SPLIT.test, champion.version, gained))
    verdict = tournament.decide(
        field.week, field.candidates, settings.gate, settings.seed, memory.seen if memory else None
    )
    if seen:
        verdict = tournament.not_comparable(seen)
    decision = {
        "run_id": "fraud-retrain-20180730t064000-9c0d1e2f",
        "mlflow_run_id": "0123456789abcdef0123456789abcdef",
        "as_of": str(AS_OF),
        "as_of_reason": "2018-07-29 is the newest complete day: 9605 rows, the 7 days before it a median of 9590",
        "windows": SPLIT.to_dict(),
        "labels": ripe().to_dict(),
        "champion": {"version": champion.version, "metrics": champion.metrics} if champion else None,
        **({"champion": {"version": seen, "metrics": None}} if seen else {}),
        "challenger": {"version": field.challenger.version, "metrics": field.challenger.metrics},
        "candidates": [one.to_dict() for one in field.candidates],
        "skipped": field.skipped,
        "dry_run": False,
        "evidence": memory.to_dict() if memory else None,
        **verdict,
    }
    counts = {
        "train_rows": 268_000,
        "train_frauds": 2_210,
        "train_rows_without_label": 0,
        "test_rows_without_label": 12,
    }
    train, rows_of_week, _ = world()
    data = Data(AS_OF, SPLIT, Rows(train), Rows(rows_of_week), counts, "8f3b1c6a90d2e47f")
    terms = gather.Terms(price=38.4, currency="RUB", owner="fraud team, fraud@example.org")
    request = Request(decision["run_id"], "fraud", terms=terms)
    seconds = {"features": 61.4, "train": 96.0, "score": 14.2, "register": 5.1, "decide": 11.9, "watch": 6.3}
    quality = records.quality(lake, decision["run_id"])
    return gather.retrain(lake, request, settings, data, field, decision, quality, seconds)


class Rows:
    """Stands for a DataFrame that is sampled whole."""

    def __init__(self, frame):
        self.frame = frame

    def where(self, _):
        return self

    def select(self, *names):
        return Rows(self.frame[list(names)])

    def toPandas(self):
        return self.frame


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for place, chosen in (("full", None), ("first", {"5": "challenger"})):
        (folder / place).mkdir(parents=True, exist_ok=True)
        for name, text in pages.written(report(roles=chosen)).items():
            (folder / place / name).write_text(text, encoding="utf-8")
