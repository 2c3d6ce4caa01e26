"""The picture asked about, found or looked at: from where it comes to its vectors.

It must not know what is asked about it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.collection import features_of
from ingest.records import Picture, stable_id
from ingest.stores import SEMANTIC, VISUAL, Point
from model.encoders import encode_views
from model.errors import PictureError, PictureGone
from model.pictures import Pixels, open_framed
from model.system.events import note
from model.system.paths import real_path, working_folder
from query.asking.context import CollectionContext
from query.asking.image_query import ImageQuery
from query.asking.question import EncodedPicture, QueryPicture
from query.asking.source import Source

Vector = NDArray[np.float32]
VECTORS = (VISUAL, SEMANTIC)


def encode(context: CollectionContext, pixels: Pixels) -> Vector:
    """What the collection's encoder sees in a framed picture: (width,) float32, of any length."""
    features: Vector = encode_views(context.encoder, [pixels])[0]
    return features


def resolve_pictures(context: CollectionContext, pictures: Sequence[QueryPicture]) -> list[ImageQuery]:
    """Each with its vectors, in their order; those of the collection are asked for at once.

    Raises:
        UsageError, PictureError: one cannot be read.
        PictureGone: an id is not, or no longer, in the collection.
    """
    ids = [picture for picture in pictures if isinstance(picture, UUID)]
    points = context.collection.retrieve(ids, VECTORS) if ids else {}
    return [_resolve(context, picture, points) for picture in pictures]


def _resolve(context: CollectionContext, picture: QueryPicture, points: dict[UUID, Point]) -> ImageQuery:
    if isinstance(picture, Source):
        return _from_source(context, picture)
    if isinstance(picture, EncodedPicture):
        return _project(context, picture.features)
    if picture not in points:
        raise PictureGone(f"no picture {picture} in the collection: it may have been removed since")
    return stored(points[picture])


def stored(point: Point) -> ImageQuery:
    """A picture of the collection, with its `VECTORS`."""
    picture = Picture.from_payload(point.payload)
    return ImageQuery(features_of(point), point.vectors[SEMANTIC], point.id, picture)


def _project(context: CollectionContext, features: Vector, id: UUID | None = None) -> ImageQuery:
    return ImageQuery(features, context.projection.project(features[None])[0], id)


def _from_source(context: CollectionContext, source: Source) -> ImageQuery:
    """The stored vectors where the file is indexed and has not changed since; else the encoder looks at it."""
    indexed = _indexed(context, source.path) if source.path else None
    if indexed:
        return indexed
    own_id = _id_of(context, source.path) if source.path else None
    try:
        framing = context.encoder.spec.framing
        framed = open_framed(source.read(), framing, name=source.text, max_megapixels=context.max_megapixels)
    except PictureError as error:
        message = str(error)
        raise type(error)(message if source.text in message else f"{source.text}: {message}") from error
    if framed.damaged:
        note(f"{source.text} is damaged, and looked at as far as it goes: {framed.damaged}")
    return _project(context, encode(context, framed.pixels), own_id)


def _indexed(context: CollectionContext, path: Path) -> ImageQuery | None:
    id = _id_of(context, path)
    here = working_folder()
    if id is None and here and not path.exists():  # perhaps a path as answers show it, relative to the dataset
        id = stable_id(os.path.relpath(path, here).replace(os.sep, "/"))
    point = context.collection.retrieve([id], VECTORS).get(id) if id else None
    return None if point is None or _has_changed(path, Picture.from_payload(point.payload)) else stored(point)


def _has_changed(path: Path, picture: Picture) -> bool:
    """Whether the file is another than the one indexed; where it is gone, what is stored is all there is."""
    try:
        status = path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) != (picture.size, picture.mtime_ns)


def _id_of(context: CollectionContext, path: Path) -> UUID | None:
    """The id that a file has or would have in this collection; none for files elsewhere."""
    root = Path(context.metadata.root)
    for place in (path, real_path(path)):
        if place.is_relative_to(root):
            return stable_id(place.relative_to(root).as_posix())
    return None
