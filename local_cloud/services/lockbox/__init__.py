"""Lockbox: secrets, their versions, and payloads that are kept apart from everything that is listed or logged."""
