"""Backups of MLflow: both databases and an inventory of the artifacts, in a bucket; and back.

A backup is a folder named by its time (UTC), whose `manifest.json` is written last: without one it does not count.
Settings and secrets come from the unit (mlflow-backup@.service).
"""
