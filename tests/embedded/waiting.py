"""Waiting for what another process does."""

import time


def eventually(condition, seconds=30):
    """The condition's first true answer, or its last one when the time is over."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer
