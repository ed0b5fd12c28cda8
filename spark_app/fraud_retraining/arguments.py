"""Arguments that several jobs take."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from fraud_retraining import days


def add_limits(parser: ArgumentParser) -> None:
    """What is asked of raw files' rows: ``preparation.Limits``."""
    parser.add_argument(
        "--max-quarantine", type=float, default=0.01, help="largest share of bad rows in a file (default %(default)s)"
    )
    parser.add_argument("--refunds", action="store_true", help="negative amounts are refunds, not faults")
    parser.add_argument(
        "--late-days",
        type=int,
        default=days.LATE_DAYS,
        help="days before its file's first one that a row may have (default %(default)s)",
    )


def add_mlflow(parser: ArgumentParser) -> None:
    """The tracking server, and whose experiment and model."""
    parser.add_argument("--mlflow-uri", required=True, help="tracking server; credentials come from the environment")
    parser.add_argument("--mlflow-secret", help="Lockbox secret with entries username and password")
    parser.add_argument("--experiment", default="fraud-retraining", help="default %(default)s")
    parser.add_argument("--model", default="fraud", help="registered model (default %(default)s)")


def add_budget(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--budget", type=positive, default=days.BUDGET, help="cards a day that people look at (default %(default)s)"
    )


def share(text: str) -> float:
    """A share of something that is not nothing."""
    found = float(text)
    if not 0 < found <= 1:
        raise ArgumentTypeError(f"{text} is no share: above 0 and at most 1 is expected, such as 0.95")
    return found


def positive(text: str) -> int:
    """A number that counts something."""
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"{text} is less than 1")
    return number
