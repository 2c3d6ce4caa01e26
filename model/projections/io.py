"""Projections: from an encoder's features into word space; reading and writing them.

`Conse` needs no training; `Devise` is the document's trained head; `Joint` joins trained labels to ConSE. All
are numpy at inference, are kept as safetensors with a JSON header, and give unit vectors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import ProjectionError
from model.projections.base import FORMAT, HEADER_KEY, Header, Projection
from model.projections.best import Joint
from model.projections.conse import Conse
from model.projections.document import Devise
from model.projections.identity import Identity

MOST_HEADER = 1 << 26
"""Bytes of a header at most: of more, nothing is read to see what the file is."""


KINDS: dict[str, type[Projection]] = {kind.kind: kind for kind in (Conse, Devise, Joint, Identity)}


def read_projection(data: bytes, name: str) -> Projection:
    """Read what `Projection.save` wrote.

    Args:
        name: where it came from, for messages.

    Raises:
        ProjectionError: broken, of another format, or with tensors that do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        length = int.from_bytes(data[:8], "little")
        header: Mapping[str, Any] = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][HEADER_KEY])
        if header["format"] != FORMAT:
            raise ProjectionError(
                f"{name} is of format {header['format']}, this version reads {FORMAT}: train it again, or "
                "`ingest reproject` a collection that has it"
            )
        fields = {key: value for key, value in header.items() if key != "format"}
        made = Header(**fields)
        made.check_types()
        projection = KINDS[made.kind](made, load(data))
        if not np.isfinite(projection.project(np.zeros((1, projection.width), np.float32))).all():
            raise ValueError("numbers that are not finite")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise ProjectionError(f"{name} is no projection, or a broken one: train it again") from error
    return projection


def is_projection_file(path: Path) -> bool:
    """Whether a file is a projection of any format, and so may be replaced by one."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            return length < MOST_HEADER and HEADER_KEY in json.loads(file.read(length))["__metadata__"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def load_projection(path: Path) -> Projection:
    """Read a projection from a file.

    Raises:
        ProjectionError: no such file, or broken.
    """
    try:
        return read_projection(path.read_bytes(), str(path))
    except OSError as error:
        raise ProjectionError(f"cannot read the projection {path}: {error.strerror}") from error
