"""What every service stands on: store, operations, identity, faults, configuration. Nothing here knows a service."""
