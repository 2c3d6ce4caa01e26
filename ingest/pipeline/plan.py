"""`ingest run --dry-run`: what a run would do, and about how long it would take. Nothing is written.

The time is measured: some of the files that would be read are read, decoded and encoded as a run does it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ingest.collection import Ledger, Options, check_same, projection_file
from ingest.pipeline.changes import find_changes, read_indexed
from ingest.pipeline.found import Found, look_through
from ingest.pipeline.report import Report
from ingest.pipeline.vanished import find_unseen
from ingest.records import Pending
from ingest.stores import Store
from model.encoders import Encoder, embed, open_encoder
from model.pair import choose_pair
from model.pictures import PictureFile, reader_version

SAMPLED = 64
"""Files that are read to know how long all of them take: a second's work on two cores, or a minute's with VGG16."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``report``: as of the run, for the numbers known beforehand; ``added`` and ``updated`` may turn out bad, and
    ``missing`` are all that are gone, also those that only moved. ``is_new``: whether the collection would be made.
    ``sampled``: files that were read for the estimate. ``seconds``: for all of them."""

    report: Report
    is_new: bool
    sampled: int
    seconds: float


def plan_run(store: Store, folder: Path, name: str, options: Options) -> Plan:
    """What `run_folder` would do.

    Raises:
        As `run_folder`.
    """
    projection_file(options)
    found = look_through(store, folder, name, options)
    collection = found.report.collection
    there = store.metadata(collection) if store.has(collection) else None
    if there is None or there.pending == Pending.CREATING:
        pair = choose_pair(options.encoder, options.words, offline=options.offline)
        encoder = open_encoder(pair.encoder, framing=options.framing, device=options.device, many=True)
        report = replace(found.report, added=len(found.files), to_do=len(found.files))
        return Plan(report, True, *_estimate(found.files, encoder, options))
    check_same(there, collection, found.root, options, may_move=found.may_move)
    report, to_do = _compared(store, found, options)
    if not to_do:
        return Plan(report, False, 0, 0.0)
    encoder = open_encoder(there.encoder, there.encoder_sha256, framing=there.framing, device=options.device, many=True)
    return Plan(report, False, *_estimate(to_do, encoder, options))


def _compared(store: Store, found: Found, options: Options) -> tuple[Report, list[PictureFile]]:
    """The report as far as it is known, and the files that would be read."""
    with store.open(found.report.collection) as collection:
        indexed, _ = read_indexed(collection)
        reader = reader_version(options.max_megapixels, options.max_seconds, strict=options.strict)
        ledger = Ledger(collection, reader)
        changes = find_changes(found.files, indexed, ledger, collection.metadata.framing, options)
        total = collection.count()
    seen = {file.relative for file in found.files}
    unseen = find_unseen(indexed, seen, found.report.left_out)
    updated = sum(file.relative in indexed for file in changes.to_do)
    report = replace(
        found.report,
        total=total,
        to_do=len(changes.to_do),
        updated=updated,
        added=len(changes.to_do) - updated,
        unchanged=changes.unchanged,
        failed_before=changes.failed_before,
        excluded=len(unseen.excluded),
        missing=len(unseen.gone),
    )
    return report, changes.to_do


def _estimate(files: Sequence[PictureFile], encoder: Encoder, options: Options) -> tuple[int, float]:
    """How many files were read, and the seconds that all of them take at that rate."""
    sample = files[:: -(-len(files) // SAMPLED)]
    side = encoder.spec.framing.crop
    encoder.encode(np.zeros((1, side, side, 3), np.uint8))  # what is made once is not counted for each
    began = time.perf_counter()
    done = embed(sample, encoder, max_megapixels=options.max_megapixels, max_seconds=options.max_seconds)
    read = sum(1 for _ in done)
    return read, (time.perf_counter() - began) / read * len(files)
