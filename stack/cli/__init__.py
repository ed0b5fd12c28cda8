"""The command line: a class for each command, with its options and what it does."""
