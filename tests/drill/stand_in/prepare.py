"""Stands in for spark_app/prepare.py in the drill: takes as long as it takes to be killed, and prepares nothing."""

import time

SECONDS = 5

if __name__ == "__main__":
    time.sleep(SECONDS)
    print("prepared nothing: this is the drill")
