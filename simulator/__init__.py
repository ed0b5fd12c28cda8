"""Card transactions of any day, always the same for a seed."""
