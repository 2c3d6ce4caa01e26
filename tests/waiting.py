"""Waiting for what another thread or process does, without a guess how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

GIVEN_UP_SECONDS = 120
"""On the busiest machine; it only decides how soon a test that hangs fails."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return when ``condition`` holds."""
    deadline = time.monotonic() + GIVEN_UP_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
