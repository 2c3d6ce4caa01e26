"""`ingest run --metadata`: when, where and by which camera pictures were taken, read for those indexed before it was.

Only headers are read, and nothing is encoded. It must not know what else a run does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ingest.pipeline.report import Report
from ingest.records import Picture, is_sound
from ingest.stores import Collection, Point
from model.encoders import decode_threads
from model.pictures import PhotoMetadata, PictureFile, in_order, read_photo_metadata
from model.system.events import progress

PAGE = 256
AHEAD = 64
MOST_SECONDS = 60.0
"""For a header; a disk that does not give one in that time is away."""


def describe_pictures(collection: Collection, files: Iterable[PictureFile], report: Report) -> None:
    """Complete the records of pictures whose files are as they were; how many is counted in ``report``.

    Raises:
        DatasetError: their disk is gone. StoreError: a batch cannot be written; those before it are.
    """
    there = {file.relative: (file.size, file.mtime_ns) for file in files}
    root = Path(collection.metadata.root)
    with progress("reading metadata", collection.count(), unit="pictures") as shown:
        for points in collection.scroll(page=PAGE):
            pictures = _not_described(points, there)
            read = in_order(
                partial(_photo_of, root),
                pictures,
                threads=decode_threads(),
                ahead=AHEAD,
                limit=lambda _: MOST_SECONDS,
                late=lambda _: None,
            )
            described = [replace(one, photo=photo) for one, photo in zip(pictures, read, strict=True) if photo]
            collection.set_payloads({picture.id: picture.to_payload() for picture in described})
            report.described += len(described)
            collection.yield_lock()
            shown.advance(len(points))


def _not_described(points: Sequence[Point], there: Mapping[str, tuple[int, int]]) -> list[Picture]:
    pictures = [Picture.from_payload(point.payload) for point in points if is_sound(point.payload)]
    return [one for one in pictures if one.photo is None and there.get(one.path) == (one.size, one.mtime_ns)]


def _photo_of(root: Path, picture: Picture) -> PhotoMetadata | None:
    path = root / picture.path
    return read_photo_metadata(path, picture.mtime_ns) if path.is_file() else None
