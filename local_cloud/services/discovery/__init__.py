"""Discovery: where the services are."""
