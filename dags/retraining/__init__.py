"""The logic of the DAGs: what a task does, importable and testable without a scheduler."""
