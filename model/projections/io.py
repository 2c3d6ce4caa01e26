"""Reading and writing projections: a safetensors file with a JSON header in its metadata.

It owns which kinds there are, and what to say of a file that is no projection. It must not know how one is trained."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import ProjectionError, UsageError
from model.projections.base import HEADER_KEY, Header, Projection
from model.projections.best import BestProjection
from model.projections.conse import ConseProjection
from model.projections.document import DocumentProjection
from model.projections.identity import IdentityProjection
from model.projections.migration import READABLE, RENAMED_KINDS, migrate
from model.system.formats import why_unreadable
from model.system.paths import is_special

MOST_HEADER = 1 << 26
"""Bytes of a header at most: a longer one is not read to find out what a file is."""

KINDS: dict[str, type[Projection]] = {
    kind.kind: kind for kind in (ConseProjection, BestProjection, DocumentProjection, IdentityProjection)
}

REMEDY = "train it again with `model train`, or make a collection's own anew with `ingest reproject`"


def read_projection(data: bytes, name: str) -> Projection:
    """Read what `Projection.save` wrote; a header of an older format is brought up to date.

    Args:
        name: where it came from, for messages.

    Raises:
        ProjectionError: broken, of a format that is not read, or with tensors that do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        header = _read_header(data, name)
        projection = KINDS[header.kind](header, load(data))
        if not np.isfinite(projection.project(np.zeros((1, projection.width), np.float32))).all():
            raise ValueError("numbers that are not finite")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise ProjectionError(f"{name} is not a projection, or is broken: {REMEDY}") from error
    return projection


def _read_header(data: bytes, name: str) -> Header:
    length = int.from_bytes(data[:8], "little")
    record: dict[str, Any] = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][HEADER_KEY])
    problem = why_unreadable(name, record["format"], READABLE, program=record.get("program"), remedy=REMEDY)
    if problem:
        raise ProjectionError(problem)
    fields = migrate(record)
    header = Header(**{key: value for key, value in fields.items() if key not in ("format", "program")})
    header.check_types()
    return header


def is_projection_file(path: Path) -> bool:
    """Whether a file is a projection of any format, and so may be replaced by one."""
    try:
        if is_special(path):
            return False
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            return length < MOST_HEADER and HEADER_KEY in json.loads(file.read(length))["__metadata__"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def load_projection(path: Path) -> Projection:
    """Read a projection from a file.

    Raises:
        ProjectionError: no such file, a pipe or a device, or broken.
    """
    try:
        if is_special(path):
            raise ProjectionError(f"{path} is no file but a pipe or a device: name a file, which can be read again")
        return read_projection(path.read_bytes(), str(path))
    except OSError as error:
        raise ProjectionError(f"cannot read the projection {path}: {error.strerror}") from error


def load_chosen(chosen: str, kinds: Container[str]) -> Projection | None:
    """The projection in a file, where ``chosen`` is its path; None where it is one of ``kinds``.

    Raises:
        UsageError: the name of a kind as older versions had it, and no such file.
        ProjectionError: no such file, or broken.
    """
    if chosen in kinds:
        return None
    if chosen in RENAMED_KINDS and not Path(chosen).exists():
        now = RENAMED_KINDS[chosen]
        raise UsageError(f"the projection {chosen!r} is now called {now!r}: use --projection {now}")
    return load_projection(Path(chosen))
