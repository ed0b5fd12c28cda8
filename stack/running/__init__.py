"""One running system, wherever it runs: the screen, what served when, the way back."""
