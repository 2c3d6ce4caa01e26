"""One thread a library where the tests have a process a core: more would only wait for each other, and burn the cores.

To be imported before NumPy and torch, which read it once. The commands that tests start inherit it.
"""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
