"""What the tests of several rooms share."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# 1: what is too long for `make test` runs too. only: it runs alone.
VERIFY = os.environ.get("VERIFY", "")
