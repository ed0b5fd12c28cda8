"""Airflow for the tests: a database of its own, none of the user's settings."""

import os
import tempfile

HOME = tempfile.mkdtemp(prefix="airflow-")
os.environ["AIRFLOW_HOME"] = HOME
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{HOME}/airflow.db"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
