"""The operator's tool behind the Makefile: doctor, demo, status, stop."""
