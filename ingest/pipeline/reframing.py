"""Which framing a collection has, and the change to another: recorded before the first vector changes.

A picture's record says how it was framed, so a run that ended early is finished by the next one. It must not know how
pictures are read.
"""

from __future__ import annotations

from dataclasses import replace

from ingest.collection import Options
from ingest.records import CollectionMetadata, Pending
from ingest.stores import Collection
from model.encoders import encoder_spec
from model.projections.training import RECIPES
from model.system.events import note


def settle_framing(collection: Collection, options: Options) -> None:
    """Record the framing that this run embeds by, or say that a newer one is to be had.

    Raises:
        UsageError: there is no such framing.
    """
    metadata = collection.metadata
    own = encoder_spec(metadata.encoder).framing.rule
    wanted = options.framing or own
    if options.re_embed and wanted != metadata.framing:
        encoder_spec(metadata.encoder).framed_by(wanted)
        collection.save(replace(metadata, framing=wanted, pending=metadata.pending or Pending.RE_EMBEDDING))
        note(f"every picture is embedded again: framing {wanted} instead of {metadata.framing}{_training(metadata)}")
    elif not options.framing and wanted != metadata.framing:
        note(
            f"the pictures of this collection have the framing {metadata.framing}, and {metadata.encoder} now has "
            f"{wanted}: `ingest run --re-embed` changes to it, --framing {metadata.framing} keeps it without a word"
        )


def _training(metadata: CollectionMetadata) -> str:
    if metadata.projection not in RECIPES:
        return ""
    return f"; the projection {metadata.projection} is kept, and `ingest reproject` trains it on them"


def finish_re_embedding(collection: Collection) -> None:
    """Record that every picture that is there has the collection's framing."""
    if collection.metadata.pending == Pending.RE_EMBEDDING:
        collection.save(replace(collection.metadata, pending=Pending.NOTHING))
