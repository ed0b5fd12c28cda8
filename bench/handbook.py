"""The handbook's features as its own code defines them: pandas, group by group, rolling windows on the time index.

Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection", 2022,
chapter 3.
"""

from __future__ import annotations

import pandas as pd

WINDOWS = (1, 7, 30)
DELAY_DAYS = 7


def customer_features(card: pd.DataFrame) -> pd.DataFrame:
    """Count and mean amount of one customer's transactions over the windows; indexed by time."""
    amounts = card.set_index("tx_datetime")["tx_amount"]
    for days in WINDOWS:
        window = amounts.rolling(f"{days}d")
        count = window.count()
        card[f"customer_id_nb_tx_{days}day_window"] = count.to_numpy()
        card[f"customer_id_avg_amount_{days}day_window"] = (window.sum() / count).to_numpy()
    return card


def terminal_features(terminal: pd.DataFrame) -> pd.DataFrame:
    """Count and share of frauds at one terminal over the windows behind the delay."""
    frauds = terminal.set_index("tx_datetime")["tx_fraud"]
    young = frauds.rolling(f"{DELAY_DAYS}d")
    young_frauds, young_count = young.sum(), young.count()
    for days in WINDOWS:
        window = frauds.rolling(f"{DELAY_DAYS + days}d")
        count = window.count() - young_count
        risk = ((window.sum() - young_frauds) / count).fillna(0)
        terminal[f"terminal_id_nb_tx_{days}day_window"] = count.to_numpy()
        terminal[f"terminal_id_risk_{days}day_window"] = risk.to_numpy()
    return terminal


def handbook_features(rows: pd.DataFrame) -> pd.DataFrame:
    """Raw columns plus the handbook's features, sorted by time."""
    rows = rows.sort_values(["tx_datetime", "transaction_id"], ignore_index=True)
    rows["tx_during_weekend"] = (rows["tx_datetime"].dt.weekday >= 5).astype(int)
    rows["tx_during_night"] = (rows["tx_datetime"].dt.hour <= 6).astype(int)
    rows = rows.groupby("customer_id", group_keys=False).apply(customer_features)
    rows = rows.sort_values(["tx_datetime", "transaction_id"], ignore_index=True)
    rows = rows.groupby("terminal_id", group_keys=False).apply(terminal_features)
    return rows.sort_values(["tx_datetime", "transaction_id"], ignore_index=True)
