"""What can be known of a transaction by who knows the world's parameters, but not which cards and terminals are bad.

A filter by Bayes' rule over the days on which a compromise may have begun. Its evidence is what the features hold: how
long ago a terminal's newest visible frauds began and its last genuine row was, and a card's unusual amounts. Amounts
are measured by the card's true mean. It knows nothing about frauds at night but how frequent they are.
Labels that are wrong it is told right.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from fraud_retraining.features import DAY, DELAY_DAYS, HIGH_RATIO, SPELL_DAYS
from simulator import Rows, World
from simulator.transactions import (
    CARD_FRAUD_FACTOR,
    COMPROMISED_CUSTOMERS,
    COMPROMISED_TERMINALS,
    LARGE_AMOUNT,
    SOLD_CARD_AMOUNT,
    SOLD_CARD_HOURS,
    SOLD_CARDS,
    TIMES,
    Compromises,
)

GENUINE, HIGH = norm(1, 0.5), HIGH_RATIO[0] / HIGH_RATIO[1]  # an amount over the card's mean


def ceiling(world: World, rows: Rows, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Probability of fraud of every row."""
    day = rows.second // DAY
    conduct = [world.conduct(one) for one in range(int(day[-1]) + 1)]
    prices, terminal, card, sold = (
        np.array([getattr(one, name) for one in conduct])[day]
        for name in ("prices", "terminal_share", "card_share", "sold_share")
    )
    times = rows.amount / prices / world.population().mean_amount[rows.customer]
    lone = lone_fraud(card, sold)
    genuine = (
        (1 - terminal * bad_terminal(columns, day, rows.second % DAY, lone))
        * (1 - by_card(card * bad_card(columns, card), times))
        * (1 - by_night(sold, times, rows.second % DAY))
    )
    large = rows.amount / prices > LARGE_AMOUNT
    return np.where(large, 1.0, 1 - genuine)


def lone_fraud(card: np.ndarray, sold: np.ndarray) -> np.ndarray:
    """Probability that a row is a fraud of a card without an amount that is unusually high."""
    low = norm.cdf(HIGH, CARD_FRAUD_FACTOR, CARD_FRAUD_FACTOR / 2)
    return card * active(COMPROMISED_CUSTOMERS) * low + sold * active(SOLD_CARDS)


def active(compromises: Compromises) -> float:
    """Share of the members that are compromised on a day."""
    return compromises.days * compromises.count / compromises.of


def bad_terminal(columns: dict[str, np.ndarray], day: np.ndarray, second: np.ndarray, lone: np.ndarray) -> np.ndarray:
    """Probability that the terminal is compromised now: each day on which it may have begun is as likely.

    Or else all its frauds are of cards: `lone` is the probability of one.
    """
    spell = COMPROMISED_TERMINALS
    chance = spell.count / spell.of
    now = day + second / DAY
    good, begun, newest = (
        np.floor(now - np.nan_to_num(columns[name], nan=nan))
        for name, nan in (
            ("terminal_id_days_since_genuine", DELAY_DAYS + SPELL_DAYS),
            ("terminal_id_days_since_spell_start", 0),
            ("newest_fraud", 0),
        )
    )
    first = np.maximum(good, newest - spell.days)  # the spell began after this day, and not after `begun`
    active = np.clip(begun - np.maximum(first, day - spell.days), 0, None)
    seen = chance * np.maximum(begun - first, 1) + lone ** columns["terminal_id_spell_length"]
    fresh = chance * np.minimum(day - good, spell.days)
    return np.where(columns["terminal_id_spell_length"] > 0, np.maximum(chance * active / seen, chance), fresh)


def bad_card(columns: dict[str, np.ndarray], share: np.ndarray) -> np.ndarray:
    """Probability that the card is compromised now, by the days on which that may have begun."""
    leak = COMPROMISED_CUSTOMERS
    high = columns["customer_id_nb_high_ratio_14day_window"]
    first = np.nan_to_num(columns["customer_id_days_since_first_high_ratio"], nan=0.0)
    rows_a_day = columns["customer_id_nb_tx_7day_window"] / 7
    raised = norm.sf(HIGH, CARD_FRAUD_FACTOR, CARD_FRAUD_FACTOR / 2)
    for_fraud = np.maximum(share * raised / (1 - share), 1e-9) / norm.sf(HIGH, 1, 0.5)
    odds = np.zeros((2, len(high)))
    for age in range(2 * leak.days):  # of the compromise; from `days` on it has ended, and explains what was high
        lasted = np.minimum(age, leak.days)
        possible = (age >= np.floor(first)) if age < leak.days else (age - leak.days < first) & (high > 0)
        odds[int(age >= leak.days)] += possible * (1 - share) ** (rows_a_day * lasted)
    odds *= leak.count / leak.of * for_fraud ** np.minimum(high, 8)
    return odds[0] / (1 + odds[0] + odds[1])


def by_card(risk: np.ndarray, times: np.ndarray) -> np.ndarray:
    fraud = risk * GENUINE.pdf(times / CARD_FRAUD_FACTOR) / CARD_FRAUD_FACTOR
    return fraud / (fraud + (1 - risk) * GENUINE.pdf(times) + 1e-300)


def by_night(share: np.ndarray, times: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Probability that the number of a sold card was used."""
    end = SOLD_CARD_HOURS * 3600
    risk = share * active(SOLD_CARDS)
    inside = TIMES.cdf(DAY) - TIMES.cdf(1)
    fraud = risk * GENUINE.pdf(times / SOLD_CARD_AMOUNT) / SOLD_CARD_AMOUNT * (second <= end) / end
    at = norm.pdf(second, TIMES.mean, TIMES.stdev) / inside
    return fraud / (fraud + (1 - risk) * GENUINE.pdf(times) * at + 1e-300)
