"""Pictures decoded in processes of their own, which are abandoned where they take too long or too much memory.

It must not know routes, answers or collections."""

from query.web.decoding.bench import Bench, Busy, Use
from query.web.decoding.job import DEFAULT_MEMORY_MB, Decoded, Job

__all__ = ["DEFAULT_MEMORY_MB", "Bench", "Busy", "Decoded", "Job", "Use"]
