"""What all tests share."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "spark_app")]
# No test may ask this machine's own metadata service for a token.
os.environ.setdefault("YC_METADATA_ADDR", "127.0.0.1:1")
