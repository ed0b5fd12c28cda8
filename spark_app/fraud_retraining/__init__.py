"""Keep a fraud model fresh: prepare a lake of card transactions, make features, train, evaluate, choose."""

__version__ = "1.1.0"  # pyproject.toml's; a test compares them
