"""`ingest check`: whether all that a collection holds is as it was written, and mending it where it is not.

It must not know how a store keeps its files, nor what is printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import numpy as np

from ingest.collection import (
    Options,
    RemovedVectors,
    ensure_tags,
    read_collection_projection,
    read_failures,
    read_label_classes,
    read_missing,
)
from ingest.errors import StoreDamaged
from ingest.pipeline.lost_files import find_lost, make_again
from ingest.pipeline.mending import mend_collection
from ingest.pipeline.run import run_folder
from ingest.pipeline.smoothing import smooth_evidence
from ingest.records import CollectionMetadata, Pending, Picture, is_sound, labels_of, stable_id
from ingest.stores import Collection, Point, Store, is_unit
from model.encoders import class_names, open_encoder
from model.errors import ProjectionError, WordsightError
from model.system.events import note, progress
from model.system.paths import is_there
from model.words import open_words

PAGE = 256


@dataclass(slots=True)
class Checked:
    """What was found of one collection.

    ``points``: looked at. ``problems``: sentences, empty where it is sound. ``unsound``: points to be made anew.
    ``has_lost``: whether files kept beside its points are lost or broken. ``is_broken``: whether the store's own files
    must be made anew before its points can be trusted. ``mended``: what was done.
    """

    name: str
    points: int = 0
    problems: list[str] = field(default_factory=list)
    unsound: list[UUID] = field(default_factory=list)
    has_lost: bool = False
    is_broken: bool = False
    mended: str = ""


def check_collection(store: Store, name: str) -> Checked:
    """Compare every file of a collection with what was recorded of it, and look at each of its points.

    Raises:
        StoreInUse: another process has it. StoreError: the disk or the server does not read.
    """
    checked = Checked(name)
    metadata = store.metadata(name)
    size = store.summary(name).size or 0
    with progress(f"reading the files of {name}", size, in_bytes=True) as shown:
        damaged = store.damage(name, thorough=True, advance=shown.advance)
    if damaged:
        checked.problems.append(f"changed or missing: {', '.join(damaged)}")
        checked.is_broken = True
        return checked
    try:
        with store.open(name) as collection:
            _check_points(collection, metadata, checked)
            if metadata.kind == "pictures":
                _check_beside(collection, checked)
    except StoreDamaged as error:
        checked.problems.append(str(error))
        checked.is_broken = True
    return checked


def _check_points(collection: Collection, metadata: CollectionMetadata, checked: Checked) -> None:
    """Each point: payload, id, vectors; then what the indexes say of all."""
    labels: Counter[str] = Counter()
    folders: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    with progress(f"looking at {checked.name}", collection.count(), unit="points") as shown:
        for points in collection.scroll_unchecked([*metadata.vectors, *metadata.sparse], page=PAGE):
            for point in points:
                problem = _problem(point, metadata)
                if problem:
                    kinds[problem] += 1
                    checked.unsound.append(point.id)
                labels.update(labels_of(point.payload))
                folders.update(point.payload.get("folders") or [])
            checked.points += len(points)
            shown.advance(len(points))
            collection.yield_lock()
    checked.problems += [f"{count} points: {problem}" for problem, count in sorted(kinds.items())]
    if metadata.kind == "pictures":
        for field_name, found, counted in (
            ("label", collection.labels(), labels),
            ("folders", collection.folders(), folders),
        ):
            if dict(found) != dict(counted):
                checked.problems.append(f"the index of {field_name} does not agree with the pictures")
                checked.is_broken = True


def _problem(point: Point, metadata: CollectionMetadata) -> str:
    if metadata.kind == "pictures":
        if not is_sound(point.payload):
            return "what is recorded of the picture was changed"
        if Picture.from_payload(point.payload).id != point.id:
            return "the id is that of no picture"
    elif stable_id(str(point.payload.get("word"))) != point.id:
        return "the id is that of no word"
    for name in metadata.vectors:
        vector = point.vectors.get(name)
        if vector is None:
            return f"no {name} vector"
        if not is_unit(vector):
            return f"the {name} vector is not one of length 1"
    for name in metadata.sparse:
        if name not in point.sparse:
            return f"no {name} vector"
        if not np.isfinite(point.sparse[name].values).all():
            return f"the {name} vector is not finite"
    return ""


def _check_beside(collection: Collection, checked: Checked) -> None:
    """The files kept with it."""
    readers: tuple[Callable[[Collection], object], ...] = (
        read_collection_projection,
        read_label_classes,
        read_failures,
        read_missing,
        RemovedVectors.read,
    )
    for read in readers:
        try:
            read(collection)
        except (StoreDamaged, ProjectionError) as error:
            checked.problems.append(str(error))
            checked.has_lost = True
    if not checked.has_lost and find_lost(collection):
        checked.problems.append("a file kept with it, or its record, is lost")
        checked.has_lost = True


def repair(store: Store, checked: Checked) -> Checked:
    """Mend what `check_collection` found, and embed the pictures again whose points are lost.

    Raises:
        StoreError: it cannot be mended from here.
        WordsightError: the models it needs are not here.
    """
    metadata = store.metadata(checked.name)
    if metadata.kind == "words":
        return replace(checked, mended=_make_tags(store, checked.name, metadata))
    with store.writing(checked.name):
        if checked.is_broken:
            mended = mend_collection(store, checked.name)
            kept, lost = mended.kept, mended.lost
        else:
            kept, lost = checked.points - len(checked.unsound), len(checked.unsound)
            with store.open(checked.name, write=True) as collection:
                collection.delete(checked.unsound)
                if checked.has_lost:
                    _make_files_again(collection)
    said = f"{kept} pictures kept"
    if lost:
        said += f", {_embed_again(store, checked.name, metadata, lost)}"
    return replace(checked, mended=said)


def _make_files_again(collection: Collection) -> None:
    metadata = collection.metadata
    encoder = open_encoder(metadata.encoder, metadata.encoder_sha256, framing=metadata.framing)
    make_again(collection, encoder, open_words(metadata.words, metadata.words_sha256))
    smooth_evidence(collection, encoder, (), is_stale=collection.metadata.stale)


def _embed_again(store: Store, name: str, metadata: CollectionMetadata, lost: int) -> str:
    root = Path(metadata.root)
    if not is_there(root):
        return f"{lost} lost: their folder {root} is not there; `ingest run` embeds them once it is"
    try:
        report = run_folder(store, root, name, Options(keep_missing=True))
    except WordsightError as error:
        note(str(error))
        return f"{lost} lost: `ingest run` on {root} embeds them again"
    return f"{report.added + report.updated} embedded again"


def _make_tags(store: Store, name: str, metadata: CollectionMetadata) -> str:
    """Made anew where a collection uses them; else the next run that needs them makes them."""
    users = [
        there
        for there in store.collections().values()
        if (there.words, there.words_sha256) == (metadata.words, metadata.words_sha256)
        and there.pending != Pending.CREATING
    ]
    store.drop(name)
    if not users:
        return "removed: no collection uses it"
    encoder = open_encoder(users[0].encoder, users[0].encoder_sha256)
    ensure_tags(store, open_words(metadata.words, metadata.words_sha256), class_names(encoder))
    return "made anew"
