"""`python -m stack COMMAND`: what the Makefile calls."""

import os
import sys

from stack.cli.run import main

if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
