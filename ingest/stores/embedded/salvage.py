"""What is sound of a damaged shard: its points with their payloads and one vector, read segment by segment.

Each segment is copied, without all that can be made anew (the other vectors, the indexes), and opened by the engine in
a process of its own with limits: damage has made it abort, fill the disk, or take all memory, and none of that may
reach this process. A segment that cannot be opened is lost; the others are not. It must not know what points mean.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from ingest.errors import StoreError
from ingest.stores import VISUAL, Point, run_in_child_process
from ingest.stores.embedded.engine import edge_errors, to_point
from ingest.stores.embedded.seal import Sealed, check_of, damaged_bytes
from ingest.stores.embedded.structure import MATRIX_HEAD_BYTES, impossible_files, set_counts
from model.errors import DiskFull
from model.system.events import note

NEEDED = ("*id_tracker.*", "version.info", "payload_storage/**/*", f"vector_storage-{VISUAL}/**/*")
"""Of a segment; everything else follows from these."""

PAGE = 256
MOST_SECONDS = 3600
SPARE_BYTES = 1 << 30
"""Of address space and file size, beyond what the segment takes itself."""


def salvage(
    shard: Path, folder: Path, name: str, width: int, sealed: Mapping[str, Sealed] | None
) -> Iterator[list[Point]]:
    """The points of a damaged shard that could be read, in pages; of vectors they have the visual one.

    Points whose vectors lie where a file changed since it was sealed are left out. What a payload says, and whether a
    vector is finite, is for the caller to see.

    Args:
        width: of the visual vector.
        sealed: what is known of its files, None where nothing is.

    Raises:
        OSError: the disk cannot be read or written.
    """
    segments = shard / "segments"
    for segment in sorted(segments.iterdir()) if segments.is_dir() else ():
        if not segment.is_dir() or segment.name.startswith("."):
            continue
        with TemporaryDirectory(dir=folder, prefix=".salvage-") as place:
            try:
                pages = _extract(segment, Path(place), name, width)
            except (StoreError, DiskFull) as error:
                note(f"a part of {name!r} cannot be read any more, its pictures are embedded again: {error}")
                continue
            unsound = _unsound_rows(shard, folder, f"segments/{segment.name}/", width, sealed or {})
            for number in range(pages):
                yield [point for point in _page(Path(place), number) if point.vectors[VISUAL].tobytes() not in unsound]


def _extract(segment: Path, place: Path, name: str, width: int) -> int:
    """Write the points of a segment in pages into ``place``; returns how many pages."""
    copy = place / "shard" / "segments" / segment.name
    for pattern in NEEDED:
        for path in segment.glob(pattern):
            if path.is_file():
                target = copy / path.relative_to(segment)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    config: dict[str, Any] = {
        "vector_data": {
            VISUAL: {
                "size": width,
                "distance": "Cosine",
                "storage_type": "Mmap" if (segment / f"vector_storage-{VISUAL}/matrix.dat").exists() else "ChunkedMmap",
                "index": {"type": "plain", "options": {}},
                "quantization_config": None,
            }
        },
        "sparse_vector_data": {},
        "payload_storage_type": {"type": "mmap"},
    }
    copy.mkdir(parents=True, exist_ok=True)
    (copy / "segment.json").write_text(json.dumps({"initial_version": 0, "version": 0, "config": config}))
    set_counts(copy, f"vector_storage-{VISUAL}")
    bad = impossible_files(place / "shard", is_settled=False)
    if bad:
        raise StoreError(f"{bad[0]} is damaged")
    return run_in_child_process(
        f"what is sound of {name!r}", _read_segment, place, name, width, on_progress=lambda _: None
    )


def _read_segment(
    place: Path,
    name: str,
    width: int,
    *,
    on_progress: Callable[[int], None],  # noqa: ARG001
) -> int:
    """In the other process."""
    shard = place / "shard"
    _limit(sum(path.stat().st_size for path in shard.rglob("*") if path.is_file()))
    with edge_errors(place, name):
        config = edge.EdgeConfig(vectors={VISUAL: edge.EdgeVectorParams(size=width, distance=edge.Distance.Cosine)})
        loaded = edge.EdgeShard.load(str(shard), config)
        number, offset = 0, None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=PAGE, with_payload=True, with_vector=True)
            found, offset = loaded.scroll(request)
            points = [point for point in map(to_point, found) if VISUAL in point.vectors]
            if points:
                np.save(place / f"{number}.npy", np.stack([point.vectors[VISUAL] for point in points]))
                rows = [[str(point.id), dict(point.payload)] for point in points]
                (place / f"{number}.json").write_text(json.dumps(rows))
                number += 1
            if offset is None:
                return number


def _limit(size: int) -> None:
    """No damage may make this process fill the disk or the memory, or run for ever."""
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which works while the engine has the GIL
        signal.alarm(MOST_SECONDS)
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size + SPARE_BYTES,) * 2)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 4 * (size + SPARE_BYTES),) * 2)


def _page(place: Path, number: int) -> Iterator[Point]:
    vectors = np.load(place / f"{number}.npy", allow_pickle=False)
    rows = json.loads((place / f"{number}.json").read_text())
    for (id, payload), vector in zip(rows, vectors, strict=True):
        yield Point(UUID(id), {VISUAL: vector}, payload)


def _unsound_rows(shard: Path, folder: Path, segment: str, width: int, sealed: Mapping[str, Sealed]) -> set[bytes]:
    """The vectors, as they are now, that lie where a file of visual vectors changed since it was sealed."""
    found: set[bytes] = set()
    for name, one in sealed.items():
        if not name.startswith(f"{segment}vector_storage-{VISUAL}/") or not name.endswith((".dat", ".mmap")):
            continue
        path = shard / name
        if "deleted" in name or "status" in name or not path.is_file() or check_of(path) == one.check:
            continue
        data: NDArray[np.uint8] = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
        head, row = (MATRIX_HEAD_BYTES if name.endswith("matrix.dat") else 0), 4 * width
        for start, end in damaged_bytes(folder, sealed, shard, name):
            first, last = max(0, (start - head) // row), -(-(end - head) // row)
            for place in range(head + first * row, min(head + last * row, len(data)), row):
                found.add(data[place : place + row].tobytes())
    return found
