"""The trained labels of a collection as classes of their own: a file beside its projection, for the questions.

A question of words reads this file, which has some kilobytes, and never the projection. It must not know how a label's
share of a question is decided (`model.class_space.labels`).
"""

from __future__ import annotations

from ingest.errors import StoreDamaged
from ingest.stores import Collection
from model.class_space import LabelClasses
from model.projections import Projection, label_classes_of

LABEL_CLASSES_FILE = "label-classes.npz"


def write_label_classes(collection: Collection, projection: Projection) -> None:
    """Keep what a projection's labels mean beside it, or nothing where it has none that answer among classes."""
    labels = label_classes_of(projection) if collection.metadata.sparse else None
    if labels is not None:
        collection.write_file(LABEL_CLASSES_FILE, labels.to_bytes())
    else:
        collection.remove_file(LABEL_CLASSES_FILE)


def read_label_classes(collection: Collection) -> LabelClasses | None:
    """Those kept with a collection, None where it has none.

    Raises:
        StoreDamaged: they are broken.
    """
    data = collection.read_file(LABEL_CLASSES_FILE)
    if data is None:
        return None
    try:
        return LabelClasses.from_bytes(data)
    except (ValueError, LookupError, OSError) as error:
        raise StoreDamaged(
            f"the {LABEL_CLASSES_FILE} of collection {collection.name!r} is broken: `ingest reproject` makes it anew"
        ) from error
