"""Errors that a person can act on: their text is the last line of a job's log."""


class RetrainingError(Exception):
    """The input, the settings or a service is not as expected; the message says what mends it."""


class BrokenFileError(RetrainingError):
    """A raw file cannot be read as a whole: truncated, binary, empty, or with another header."""


class QualityError(RetrainingError):
    """Too large a share of a raw file broke a quality rule."""
