"""What a picture that is asked about shows, as probabilities of the classes, its neighbours' included.

For collections that keep such evidence. It must not know what is asked about the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.stores import CLASSES, VISUAL, SparseVector
from model.class_space import NEIGHBOURS, neighbour_shares, smoothed
from model.encoders import CLASSES as CLASS_COUNT
from model.projections import ConseProjection, softmax
from query.asking.context import CollectionContext
from query.asking.image_query import ImageQuery

Probabilities = NDArray[np.float32]


def shown(context: CollectionContext, image: ImageQuery) -> Probabilities:
    """(classes + learnt labels,): as kept with a picture of the collection; of another, made as that is made.

    Of several pictures added up: the mean of theirs.
    """
    if image.summed:
        return np.asarray(np.mean([shown(context, one) for one in image.summed], axis=0), np.float32)
    if image.id is not None and image.picture is not None:
        point = context.collection.retrieve([image.id], [CLASSES]).get(image.id)
        if point is not None:
            return _dense(point.sparse[CLASSES], _width(context))
    return _smoothed(context, image)


def _width(context: CollectionContext) -> int:
    return CLASS_COUNT + (len(context.label_classes) if context.label_classes else 0)


def _dense(vector: SparseVector, width: int) -> Probabilities:
    row = np.zeros(width, np.float32)
    row[vector.indices] = vector.values
    return row


def _smoothed(context: CollectionContext, image: ImageQuery) -> Probabilities:
    """What the classifier says of the picture, and the evidence of those that look like it."""
    width = _width(context)
    own = np.zeros(width, np.float32)
    if isinstance(context.projection, ConseProjection):
        own[:CLASS_COUNT] = softmax(context.projection.logits(image.visual[None]))[0]
    hits = context.collection.search(VISUAL, image.visual, NEIGHBOURS)
    points = context.collection.retrieve([hit.id for hit in hits], [CLASSES])
    near = [(_dense(points[hit.id].sparse[CLASSES], width), hit.score) for hit in hits if hit.id in points]
    if not near:
        return own
    rows, cosines = zip(*near, strict=True)
    shares = neighbour_shares(CLASS_COUNT, width - CLASS_COUNT)
    return smoothed(own, np.stack(rows), np.array(cosines, np.float32), shares)
