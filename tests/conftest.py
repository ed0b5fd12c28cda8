"""What all tests share."""

import os

# No test may ask this machine's own metadata service for a token.
os.environ.setdefault("YC_METADATA_ADDR", "127.0.0.1:1")
