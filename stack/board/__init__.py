"""`make board`: brings a project of GitHub in line with docs/board.yml. It creates and sets; it never deletes."""
