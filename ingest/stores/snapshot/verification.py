"""`ingest verify`: is a snapshot whole, does it find what is near, does it answer as the collection does?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ingest.errors import CollectionMismatch, StoreDamaged
from ingest.stores import SEMANTIC, VISUAL, Collection, Hit, Store
from ingest.stores.snapshot.annoy import TIE, AnnoyIndexFile, IndexInfo, exact_neighbours, recall, sample_rows
from ingest.stores.snapshot.manifest import MANIFEST_FILE
from ingest.stores.snapshot.store import SnapshotStore
from model.system.events import progress

ANSWERS = 10


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying found.

    ``recall``: by vector name. ``compared``: answers, with those of a live collection. ``agreement``: by vector name,
    the share of its hits that the snapshot has too. ``differences``: from it, a sentence each.
    """

    files: int
    recall: dict[str, float]
    compared: int = 0
    agreement: dict[str, float] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def verify(store: SnapshotStore, live: Store | None = None, live_name: str = "") -> Verified:
    """Read every byte of a snapshot, measure its recall again, and compare it with a live collection.

    Args:
        live: the store to compare with, or None. live_name: the collection there; else the snapshot's name.

    Raises:
        StoreDamaged: a file is missing, changed or not listed.
    """
    _check_files(store)
    recalls = {using: _recall(store, using) for using in store.manifest.indexes}
    verified = Verified(len(store.manifest.files), recalls)
    if live:
        name = live_name or store.manifest.collection
        with live.open(name) as left, store.open(store.manifest.collection) as right:
            _check_comparable(left, right)
            return _compare(left, right, store.manifest.indexes, verified)
    return verified


def _check_files(store: SnapshotStore) -> None:
    recorded = store.manifest.files
    with progress("taking checksums", len(recorded), unit="files") as shown:
        for name in recorded:
            store.check_listed(name, again=True)
            shown.advance()
    there = {path.relative_to(store.folder).as_posix() for path in store.folder.rglob("*") if not path.is_dir()}
    if extra := sorted(there - recorded.keys() - {MANIFEST_FILE}):
        raise StoreDamaged(
            f"{store.folder} holds files its manifest does not list, such as {extra[0]}: export it again"
        )


def _recall(store: SnapshotStore, name: str) -> float:
    info = store.manifest.indexes[name]
    index = AnnoyIndexFile(store.checked(info.file), info)
    try:
        sample = sample_rows(info.items, info.seed + 1)  # not the pictures that the export tuned itself to
        with progress(f"measuring {name}", len(sample), unit="queries") as shown:
            found = recall(
                _counted(index, shown.advance), index.vectors, sample, exact_neighbours(index.vectors, sample)
            )
    finally:
        index.close()
    return found


def _counted(index: AnnoyIndexFile, on_query: Callable[[], None]) -> Callable[[Any, int], list[int]]:
    def nearest(vector: Any, count: int) -> list[int]:
        on_query()
        return index.nearest(vector, count)[0]

    return nearest


def _check_comparable(live: Collection, snapshot: Collection) -> None:
    """Raises CollectionMismatch where the vectors of two collections mean different things."""
    if live.metadata.kind != snapshot.metadata.kind or _made_of(live) != _made_of(snapshot):
        raise CollectionMismatch(
            f"collection {live.name!r} was made with {_named(live)}, the snapshot with {_named(snapshot)}: they have "
            "nothing to compare; name the collection it was exported from"
        )


def _made_of(collection: Collection) -> tuple[str, ...]:
    made = collection.metadata
    return made.encoder, made.encoder_sha256, made.words, made.words_sha256, made.framing


def _named(collection: Collection) -> str:
    encoder, encoder_sha256, words, words_sha256, framing = _made_of(collection)
    return f"{encoder} {encoder_sha256[:8]}, {words} {words_sha256[:8]} and framing {framing}"


def _compare(live: Collection, snapshot: Collection, indexes: Mapping[str, IndexInfo], verified: Verified) -> Verified:
    """Counts, contents, and the answers to a sample of stored vectors of both names."""
    differences = list(_content_differences(live, snapshot))
    ids = [point.id for page in live.scroll() for point in page]
    chosen = live.retrieve([ids[row] for row in sample_rows(len(ids), seed=0)], [VISUAL, SEMANTIC]).values()
    agreement = {}
    for using in (VISUAL, SEMANTIC):
        agree = same_answers if indexes[using].is_exact else no_contradiction
        hits = shared = 0
        for point in chosen:
            left, right = (c.search(using, point.vectors[using], ANSWERS, exact=c is live) for c in (live, snapshot))
            hits += len(left)
            shared += len({hit.id for hit in left} & {hit.id for hit in right})
            if not agree(left, right):
                differences.append(f"{using}: other answers for {point.payload['path']}")
        agreement[using] = shared / hits if hits else 1.0
    return replace(verified, compared=2 * len(chosen), agreement=agreement, differences=differences)


def _content_differences(live: Collection, snapshot: Collection) -> Iterator[str]:
    left, right = (
        {point.id: point.payload["sha256"] for page in collection.scroll() for point in page}
        for collection in (live, snapshot)
    )
    if missing := left.keys() - right.keys():
        yield f"{len(missing)} pictures of the collection are not in the snapshot"
    if gone := right.keys() - left.keys():
        yield f"{len(gone)} pictures of the snapshot are not in the collection any more"
    if changed := [id for id in left.keys() & right.keys() if left[id] != right[id]]:
        yield f"{len(changed)} pictures have changed since the export"


def no_contradiction(live: list[Hit], snapshot: list[Hit]) -> bool:
    """Whether an answer that may miss some hits has no other score and nothing that the whole one lacks."""
    scores = {hit.id: hit.score for hit in live}
    edge = live[-1].score if len(live) == ANSWERS else -2.0
    return all(abs(hit.score - scores.get(hit.id, min(hit.score, edge))) <= 2 * TIE for hit in snapshot)


def same_answers(left: list[Hit], right: list[Hit]) -> bool:
    """Whether two answers agree: the same scores in order, and the same points but for equal scores."""
    if len(left) != len(right):
        return False
    if any(abs(one.score - other.score) > 2 * TIE for one, other in zip(left, right, strict=True)):
        return False
    edge = left[-1].score if left else 0.0
    clear = {hit.id for hit in left if hit.score > edge + 2 * TIE}
    return clear <= {hit.id for hit in right}
