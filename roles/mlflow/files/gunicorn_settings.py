"""What gunicorn's first process does before it makes the workers.

It imports the server, so that the workers share the libraries' memory instead of each having its own copy. No
connection is opened by that: the stores are made by the application itself, in each worker.
"""

import gc
from typing import Any


def on_starting(server: Any) -> None:
    """Called once, before the first worker."""
    import mlflow.server.auth  # noqa: F401  # before the workers, and only then

    gc.collect()
    gc.freeze()  # what the collector does not touch stays shared
