"""IAM: tokens, and keys of service accounts."""
