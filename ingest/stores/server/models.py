"""The models of qdrant-client, which is imported when the first of them is made: a question makes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qdrant_client import models
else:

    class _Models:
        def __getattr__(self, name: str) -> Any:
            from qdrant_client import models

            return getattr(models, name)

    models = _Models()

__all__ = ["models"]
