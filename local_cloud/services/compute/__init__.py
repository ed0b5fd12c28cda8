"""Compute Cloud: machines that run nothing, with disks and addresses, and what the cloud refuses of them."""
