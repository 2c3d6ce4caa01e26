"""The last look at what pictures show: their evidence is smoothed once all pictures of a run are there.

It must not know how evidence is smoothed.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.collection import smooth
from ingest.records import stable_id
from ingest.stores import Collection
from model.encoders import Encoder
from model.pictures import PictureFile
from model.system.events import progress


def smooth_evidence(
    collection: Collection, encoder: Encoder, changed: Sequence[PictureFile], *, is_stale: bool
) -> None:
    """Bring the evidence of a collection that keeps it up to date.

    Args:
        changed: the files that this run read. is_stale: an earlier run ended before it was brought up to date.
    """
    if not collection.metadata.sparse or encoder.classifier is None or not (changed or is_stale):
        return
    ids = None if is_stale else [stable_id(file.relative) for file in changed]
    with progress("comparing", collection.count(), unit="pictures") as shown:
        smooth(collection, encoder.classifier, ids, shown.advance)
