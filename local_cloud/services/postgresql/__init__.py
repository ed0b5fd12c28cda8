"""Managed PostgreSQL: a record without a server, but refused where the cloud refuses it."""
