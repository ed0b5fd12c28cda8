"""Managed Airflow: a record without an Airflow (the demo runs a real one), but refused where the cloud refuses it."""
