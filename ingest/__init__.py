"""Scans a folder of pictures, embeds them, and keeps the collections.

What is named here is for programs, and stays; everything below may change:

    from ingest import ingest_folder

    report = ingest_folder("photos", "store", offline=True)
    print(report.total, report.added, report.failed)

Importing it imports nothing heavy. A program hears nothing unless it listens (`model.system.events`), and meets
errors of one tree (`model.errors.WordsightError`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.pipeline import Report

__all__ = ["Report", "ingest_folder"]


def ingest_folder(
    folder: str | Path,
    store: str | Path | None = None,
    *,
    collection: str = "",
    api_key: str = "",
    encoder: str = "auto",
    words: str = "auto",
    projection: str | Path = "auto",
    framing: str = "",
    offline: bool = False,
    keep_missing: bool = False,
    remove_missing: bool = False,
    follow_links: bool = False,
    exclude: Sequence[str] = (),
    metadata: bool = False,
    ocr: bool | None = None,
    retry: bool = False,
    re_embed: bool = False,
    strict: bool = False,
    max_megapixels: int | None = None,
    max_seconds: int | None = None,
    device: str = "auto",
    quantize: bool | None = None,
    ray: str = "",
    parts: Sequence[str] = (),
) -> Report:
    """Embed a folder of pictures into a collection, or bring the collection up to date with its folder.

    Files that have not changed since the last call are not opened. Whatever ends the call, what was acknowledged
    is kept, and the next one goes on from there. Ctrl-C in the main thread ends it in good order: the report
    then says ``interrupted``.

    Args:
        folder: the pictures; sub-folders are their labels.
        store: folder of the embedded store, or the URL of a Qdrant server; else the default folder, which the
            environment variable ``WORDSIGHT_STORE`` moves.
        collection: its name; else that of the collection made from this folder, else the folder's own.
        api_key: the server's.
        encoder: ``vgg16``, ``efficientnet-lite0``, or ``auto``: vgg16 where it is available.
        words: the text space, or ``auto``: the one that goes with the encoder.
        projection: ``conse``, ``best``, ``document``, a file, or ``auto``: best where the labels allow.
        framing: how the encoder sees a picture, ``whole`` or ``published``; empty for the collection's or its own.
        offline: do not try to download the standard pair.
        keep_missing: keep pictures whose files are gone.
        remove_missing: remove them also where a whole folder is gone, or more than a fifth of the collection; else
            such pictures are kept, and the report says of which folders (``gone``).
        follow_links: enter folders that are links.
        exclude: leave out what matches one of these patterns, as in a ``.gitignore``; it is removed if it is there.
        metadata: read of pictures that are not embedded again, too, when, where and how they were taken.
        ocr: read the text that stands in pictures, in this call and later ones; None for as before, False for not in
            this call.
        retry: try files again that failed before or are damaged.
        re_embed: embed every picture again, framed as ``framing`` says or as the encoder frames them now.
        strict: refuse damaged pictures, however much of them can be shown.
        max_megapixels: refuse larger pictures; 0 lifts the limit, None is the usual one.
        max_seconds: give a file up after this, plus a second for each MB; 0 lifts the limit, None is the usual one.
        device: ``cpu``, ``cuda`` or ``auto``.
        quantize: search more than 10,000 pictures by int8 codes first; None for where memory is short.
        ray: the address of a Ray cluster whose machines embed, or ``local``; the store is then a server.
        parts: folders of the dataset, as paths below it, that alone are brought up to date.

    Raises:
        DatasetError: no such folder, or no picture in it can be read.
        CollectionMismatch: the collection was made from another folder, by another encoder or other words.
        WordsightError: see `model.errors` and `ingest.errors` for all of the tree.
    """
    from ingest.collection import Options, parts_of
    from ingest.pipeline import run_folder
    from ingest.stores import open_store

    limits: dict[str, Any] = {"max_megapixels": max_megapixels, "max_seconds": max_seconds}
    options = Options(
        encoder=encoder,
        words=words,
        projection=str(projection),
        framing=framing,
        offline=offline,
        keep_missing=keep_missing,
        remove_missing=remove_missing,
        follow_links=follow_links,
        exclude=tuple(exclude),
        metadata=metadata,
        ocr=ocr,
        retry=retry,
        re_embed=re_embed,
        strict=strict,
        device=device,
        quantize=quantize,
        ray=ray,
        parts=parts_of(parts),
        **{name: limit for name, limit in limits.items() if limit is not None},
    )
    is_url = isinstance(store, str) and "://" in store
    place = None if store is None or is_url else Path(store)
    with open_store(place, str(store) if is_url else "", api_key) as opened:
        return run_folder(opened, Path(folder), collection, options)


def __getattr__(name: str) -> Any:
    if name == "Report":
        from ingest.pipeline import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
