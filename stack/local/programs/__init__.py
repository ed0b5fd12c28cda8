"""The programs of one local stack, a file each: their settings, their command and its environment."""
