"""`ingest run --ocr`: the text that stands in pictures, read once of each and kept with it.

It must not know how text is read, nor what else a run does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import TIMEOUT_MAX

from PIL import Image

from ingest.collection import Options
from ingest.pipeline.report import Report
from ingest.records import TEXT, Picture, is_sound, stable_id
from ingest.stores import Collection, batches
from model.encoders import decode_threads, read_file
from model.errors import PictureError
from model.ocr import READ_SIDE, TextReader, is_installed, need_installed, open_text_reader
from model.pictures import PictureFile, in_order, open_picture
from model.system.events import note, progress

LOOKED_UP = 256
"""Pictures of which it is asked at a time whether their text was read."""

ACK_PICTURES = 16
"""Texts kept together: what is read anew after a kill takes as many seconds."""

AHEAD = 4
"""Pictures decoded in advance: 12 MB each."""


def read_texts(collection: Collection, files: Sequence[PictureFile], options: Options, report: Report) -> None:
    """Read the text in those of ``files`` whose pictures are indexed as they are, and not read yet.

    Raises:
        UsageError: it was asked for and cannot be done here. WeightsError: its models are broken.
        DatasetError: the pictures' disk is gone. StoreError: a batch cannot be written; those before it are.
    """
    if options.ocr is False or not (options.ocr or collection.metadata.ocr):
        return
    if options.ocr is None and not is_installed():
        note("the text in new pictures is not read, which earlier runs did: pip install 'wordsight[ocr]'")
        return
    need_installed()
    unread = [file for batch in batches(files, LOOKED_UP) for file in _unread(collection, batch)]
    reader = open_text_reader() if unread else None  # most runs have nothing to read
    if not collection.metadata.ocr:
        collection.save(replace(collection.metadata, ocr=True))
    if reader:
        _read(reader, collection, unread, options, report)


def _read(
    reader: TextReader, collection: Collection, unread: Sequence[PictureFile], options: Options, report: Report
) -> None:
    with progress("reading text", len(unread), unit="pictures") as shown:
        for batch in batches(_decoded(unread, options), ACK_PICTURES):
            texts = {file.relative: reader.read(image) for file, image in batch if image}
            _keep(collection, texts)
            report.read += len(texts)
            report.written += sum(bool(text) for text in texts.values())
            collection.yield_lock()
            shown.advance(len(batch))


def _unread(collection: Collection, files: Sequence[PictureFile]) -> Iterator[PictureFile]:
    there = collection.retrieve([stable_id(file.relative) for file in files])
    for file in files:
        point = there.get(stable_id(file.relative))
        if point and is_sound(point.payload) and TEXT not in point.payload:
            picture = Picture.from_payload(point.payload)
            if (picture.size, picture.mtime_ns) == (file.size, file.mtime_ns):
                yield file


def _decoded(files: Sequence[PictureFile], options: Options) -> Iterator[tuple[PictureFile, Image.Image | None]]:
    """Each with its picture; None where it cannot be had any more, which is for the next run."""
    images = in_order(
        partial(_image, options),
        files,
        threads=decode_threads(),
        ahead=AHEAD,
        limit=lambda _: options.max_seconds or TIMEOUT_MAX,
        late=lambda _: None,
    )
    return zip(files, images, strict=True)


def _image(options: Options, file: PictureFile) -> Image.Image | None:
    try:
        seen, data = read_file(file)
        if (seen.size, seen.mtime_ns) != (file.size, file.mtime_ns):
            return None
        name = Path(file.relative).name
        return open_picture(data, name=name, max_megapixels=options.max_megapixels, shown_at=READ_SIDE // 2)
    except (OSError, PictureError):
        return None


def _keep(collection: Collection, texts: dict[str, str]) -> None:
    """By path. What the collection says of a picture beside is as it is now."""
    there = collection.retrieve([stable_id(path) for path in texts])
    pictures = [Picture.from_payload(point.payload) for point in there.values()]
    collection.set_payloads(
        {one.id: replace(one, text=texts[one.path]).to_payload() for one in pictures if one.path in texts}
    )
