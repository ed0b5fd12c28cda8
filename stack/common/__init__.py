"""What the local and the cloud commands share."""
