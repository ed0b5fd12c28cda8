"""Every fault and every kill -9 against the live scheduler: no cluster leaks, none is doubled, no run lies."""

# What the drill's proof depends on: a case that has passed runs again when one of these has changed.
INPUTS = (
    "dags",
    "spark_app",
    "local_cloud",
    "!local_cloud/README.md",
    "simulator",
    "stack/common",
    "stack/local",
    "roles/mlflow/files",
    "requirements/airflow.txt",
    "requirements/mlflow.txt",
    "requirements/spark-image-2.2.txt",
    "requirements/stack.txt",
    "tests/drill",
    "!tests/drill/page.py",
    "tests/support/image_python.py",
    "tests/support/running_stack.py",
    "tests/support/waiting.py",
)
