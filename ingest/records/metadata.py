"""What is recorded of a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from ingest.errors import StoreError
from ingest.records.migration import READABLE, migrate
from model import __version__
from model.pictures import PUBLISHED
from model.system.formats import why_unreadable

FORMAT = READABLE[-1]


class Pending(StrEnum):
    """What a run that ended early left to be done; kept as text with the collection.

    ``CREATING``: it has no projection yet. ``UNDECIDED``: whether to train is settled when its pictures are known.
    ``SWITCHING``: its semantic vectors are being projected anew. ``RELABELLING``: they were, but what its pictures show
    is still of the labels learnt before. ``RE_EMBEDDING``: its pictures are being framed by another rule, and some have
    vectors of the one before. ``INCOMPLETE``: words of a vocabulary are missing.
    """

    NOTHING = ""
    CREATING = "creating"
    UNDECIDED = "auto"
    SWITCHING = "switching"
    RELABELLING = "relabelling"
    RE_EMBEDDING = "re-embedding"
    INCOMPLETE = "filling"


@dataclass(frozen=True, slots=True)
class CollectionMetadata:
    """What is recorded of a collection, and must not change under it.

    ``vectors``: name to width. ``framing``: the rule by which the encoder sees a picture; where none is recorded, it
    was the published one. ``sparse``: names of sparse vectors. ``stale``: whether pictures changed since the
    sparse vectors were brought up to date. ``projection``: kind in use; ``projection_sha256``: of its file, empty
    where an earlier version wrote it. ``pending``: what a run that ended early left to be done. ``trained``: labels its
    projection was trained on; ``not_learnt``: those that its pictures do not tell apart. ``decoder``: what decoded the
    pictures that were added last, with versions. ``root``: folder of the dataset.
    ``ocr``: whether runs read the text that stands in pictures. ``search_width``: candidates (HNSW's ef) that a search
    of its graph was found to need, 0 for the usual number; ``recall``: recall@10 that was measured with these, by name
    of the vector. ``files``: name to SHA-256 of files kept with
    it. Times are ISO 8601, UTC.
    """

    kind: Literal["pictures", "words"]
    vectors: Mapping[str, int]
    words: str
    words_sha256: str
    encoder: str = ""
    encoder_sha256: str = ""
    framing: str = PUBLISHED
    projection: str = ""
    projection_sha256: str = ""
    sparse: Sequence[str] = ()
    stale: bool = False
    pending: Pending = Pending.NOTHING
    trained: Sequence[str] = ()
    not_learnt: Sequence[str] = ()
    decoder: str = ""
    root: str = ""
    created: str = ""
    updated: str = ""
    ocr: bool = False
    search_width: int = 0
    recall: Mapping[str, float] = field(default_factory=dict)
    format: int = FORMAT
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is kept; ``program`` says which version wrote it."""
        return {**asdict(self), "program": __version__}

    @classmethod
    def from_json(cls, metadata: Mapping[str, Any], name: str) -> CollectionMetadata:
        """Raises StoreError where it is incomplete or of a format that is not read; an older one is migrated."""
        try:
            problem = why_unreadable(
                f"collection {name!r}",
                metadata["format"],
                READABLE,
                program=metadata.get("program"),
                remedy="ingest its folder again under a new name",
            )
            if problem:
                raise StoreError(problem)
            metadata = migrate(metadata)
            known = {key: metadata[key] for key in cls.__dataclass_fields__ if key in metadata}
            typed = {
                "trained": tuple(known.get("trained", ())),
                "not_learnt": tuple(known.get("not_learnt", ())),
                "sparse": tuple(known.get("sparse", ())),
                "pending": Pending(known.get("pending", "")),
            }
            return cls(**{**known, **typed})
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"collection {name!r} was not made by this program: choose another name") from error
