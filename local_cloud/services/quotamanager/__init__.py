"""The quota manager: what a cloud may have of each kind, and has."""
