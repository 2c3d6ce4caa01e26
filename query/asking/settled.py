"""A question that compares semantic vectors, or learnt labels, is answered by one projection, whole, or not at all.

While a collection changes to another projection some of its vectors are of the one and some of the other, and their
cosines with a question are not to be compared; the same is true of the probabilities of the labels that it learnt. It
must not know how a projection is changed.
"""

from __future__ import annotations

from ingest.errors import StoreInUse
from ingest.records import Pending
from query.asking.context import CollectionContext


def need_one_projection(context: CollectionContext) -> None:
    """Called when an answer is ready, since a change may have begun, or ended, while it was being made.

    Raises:
        StoreInUse: the vectors compared may be of two projections, or of another than the question.
    """
    now = context.store.metadata(context.name)
    if now.pending in (Pending.SWITCHING, Pending.RELABELLING):
        raise StoreInUse(
            f"the projection of {context.name!r} is being changed: ask again when `ingest` has ended; if it was "
            "stopped, `ingest run` finishes the change"
        )
    if now.projection_sha256 != context.projection_sha256:
        raise StoreInUse(f"the projection of {context.name!r} was changed meanwhile: ask again")
