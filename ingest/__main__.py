"""`ingest`, also as `python -m ingest`; and `model` as it is installed: with the stored vectors of a folder's pictures.

Here the layers are put together: `model` knows no store, and is handed what finds vectors in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from model.entry import enter

if TYPE_CHECKING:
    from model.encoders import Embedded
    from model.pictures import PictureFile


def main() -> None:
    """Entry point of the console script ``ingest``."""
    enter("ingest.cli")


def model() -> None:
    """Entry point of the console script ``model``."""
    enter("model.cli", _stored_vectors)


def _stored_vectors(root: Path, encoder: str, encoder_sha256: str, framing: str) -> Mapping[PictureFile, Embedded]:
    from ingest.pipeline import find_stored_vectors

    return find_stored_vectors(root, encoder, encoder_sha256, framing)


if __name__ == "__main__":
    main()
