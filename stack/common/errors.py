"""The one exception that a user is meant to read."""


class StackError(Exception):
    """What is wrong, what was expected and the command that mends it; printed without a traceback."""
