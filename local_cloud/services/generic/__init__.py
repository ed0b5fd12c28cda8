"""The verbs that all services share, made from descriptors."""
