"""Whether a shard's files are possible, before the engine believes them.

One flipped bit in a list of ids has made the engine fill a disk with 70 GB, or allocate 100 GB and abort; a count of
zero has made it answer that there is nothing. Here the numbers that it allocates and loops by are compared with the
sizes of the files they speak of. It must not know points, and reads no vector.

Layouts (qdrant-edge 0.9.0): ``mutable_id_tracker.mappings`` is a log of a byte for the kind of entry, an id of 8 or 16
bytes, and in entries of insertion the point's place (u32). ``id_tracker.mappings`` is a u64 count and as many such
entries. ``status.dat`` begins with a u64 count, ``tracker.dat`` with a u32 count of entries of 16 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

INSERT_NUMBER, INSERT_UUID, DELETE_NUMBER, DELETE_UUID = 1, 2, 3, 4
ENTRY_BYTES = {INSERT_NUMBER: 13, INSERT_UUID: 21, DELETE_NUMBER: 9, DELETE_UUID: 17}
SEALED_ENTRY_BYTES = 21
RUN = 256

SPARE_PLACES = 1024
"""Places beyond the entries in the log: what a killed process had given away and not written down."""

TRACKED_BYTES = 16
FLOAT_BYTES = 4
MATRIX_HEAD_BYTES = 4


def impossible_files(shard: Path, *, is_settled: bool) -> list[str]:
    """The names of files of a closed shard that cannot be what the engine wrote.

    Args:
        is_settled: the last writer ended well, so that all counts agree; else some may lag behind.

    Raises:
        OSError: a file cannot be read.
    """
    segments = shard / "segments"
    places = sorted(segments.iterdir()) if segments.is_dir() else []
    return [
        f"segments/{segment.name}/{name}"
        for segment in places
        if segment.is_dir() and not segment.name.startswith(".")
        for name in _impossible(segment, is_settled=is_settled)
    ]


def set_counts(segment: Path, storage: str) -> None:
    """Make the small files that count the points of a segment agree with its list of ids, which is possible."""
    points = _points(segment)[1]
    if points is None:
        return
    for name, width in ((f"{storage}/vectors/status.dat", 8), ("payload_storage/tracker.dat", 4)):
        path = segment / name
        if path.is_file() and path.stat().st_size >= width:
            with path.open("rb+") as file:
                file.write(points.to_bytes(width, "little"))


def _points(segment: Path) -> tuple[str, int | None]:
    """The list of a segment's ids, and how many places it gives away, None where that cannot be; "" in an empty one."""
    sealed, log = segment / "id_tracker.mappings", segment / "mutable_id_tracker.mappings"
    if sealed.is_file():
        return sealed.name, _sealed_points(sealed)
    return (log.name, _logged_points(log)) if log.is_file() else ("", None)


def _impossible(segment: Path, *, is_settled: bool) -> Iterator[str]:
    name, points = _points(segment)
    if points is None:
        yield from [name] if name else []
        return
    for storage in sorted(segment.glob("vector_storage-*")):
        yield from (f"{storage.name}/{bad}" for bad in _bad_storage(segment, storage, points, is_settled=is_settled))
    for tracker in sorted(segment.glob("payload_storage/tracker.dat")):
        if not _is_tracker(tracker, points if is_settled else None):
            yield tracker.relative_to(segment).as_posix()


def _sealed_points(path: Path) -> int | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        count = int.from_bytes(file.read(8), "little")
    return count if size == 8 + SEALED_ENTRY_BYTES * count else None


def _logged_points(path: Path) -> int | None:
    """How many places the log gives away; None where it names one that cannot be. A torn last entry is passed over."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    inserted, highest, start = 0, -1, 0
    while start < len(data):
        kind = int(data[start])
        width = ENTRY_BYTES.get(kind)
        if width is None:
            return None
        count = _alike(data, start, width)
        entries = data[start : start + count * width]
        entries = entries[: len(entries) // width * width].reshape(-1, width)
        if kind in (INSERT_NUMBER, INSERT_UUID) and len(entries):
            inserted += len(entries)
            highest = max(highest, int(np.ascontiguousarray(entries[:, -4:]).view("<u4").max()))
        start += count * width
    return highest + 1 if highest < inserted + SPARE_PLACES else None


def _alike(data: NDArray[np.uint8], start: int, width: int) -> int:
    """How many entries of one kind follow each other; a look at the first few, and only then at all."""
    for reach in (RUN, len(data)):
        kinds = data[start : start + reach * width : width]
        others = np.flatnonzero(kinds != data[start])
        if len(others):
            return int(others[0])
    return len(kinds)


def _bad_storage(segment: Path, storage: Path, points: int, *, is_settled: bool) -> Iterator[str]:
    width = _width(segment, storage.name.removeprefix("vector_storage-"))
    matrix = storage / "matrix.dat"
    if matrix.is_file() and width and matrix.stat().st_size != MATRIX_HEAD_BYTES + FLOAT_BYTES * width * points:
        yield matrix.name
    status = storage / "vectors/status.dat"
    if status.is_file() and width and not matrix.is_file():
        count = _count(status)
        room = sum(chunk.stat().st_size for chunk in storage.glob("vectors/chunk_*.mmap")) // (FLOAT_BYTES * width)
        if count > room or (is_settled and count != points):
            yield "vectors/status.dat"
    tracker = storage / "store/tracker.dat"
    if tracker.is_file() and not _is_tracker(tracker, points if is_settled else None):
        yield "store/tracker.dat"


def _is_tracker(path: Path, points: int | None) -> bool:
    with path.open("rb") as file:
        count = int.from_bytes(file.read(4), "little")
    return count <= path.stat().st_size // TRACKED_BYTES and points in (None, count)


def _count(status: Path) -> int:
    with status.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def _width(segment: Path, vector: str) -> int:
    """How wide a dense vector of a segment is; 0 where it is none, or that is not to be read."""
    try:
        return int(json.loads((segment / "segment.json").read_bytes())["config"]["vector_data"][vector]["size"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return 0
