"""Which collection a folder belongs to, also when it was moved: its contents tell, not its name.

It must not know how a collection is brought up to date.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from ingest.collection import Options
from ingest.errors import StoreError
from ingest.records import CollectionMetadata, Pending
from ingest.stores import Store
from model.encoders import read_file
from model.errors import DiskFull, PictureError, UsageError
from model.pair import AUTO
from model.pictures import PictureFile
from model.system.events import note
from model.system.names import shown
from model.system.paths import is_there

SAMPLED = 24
"""Files of a folder that are read to recognise it, from its beginning to its end."""

LEAST_SHARE = 0.5
"""Of the sampled files that must be known by their contents; and of the collection's pictures, how many files there
must be: a folder with a few copies is not the collection's."""


def name_for(root: Path, store: Store) -> str:
    """The collection that was made from a folder; empty where there is none.

    Raises:
        UsageError: there are several.
    """
    made_from_it = [name for name, metadata in store.collections().items() if metadata.root == str(root)]
    if len(made_from_it) > 1:
        raise UsageError(f"several collections hold {root}: choose with -c {' | '.join(sorted(made_from_it))}")
    return made_from_it[0] if made_from_it else ""


def find_moved(store: Store, root: Path, files: Sequence[PictureFile], options: Options) -> str | None:
    """The collection whose folder this one was before it was moved, None where there is none.

    No collection was made from ``root`` as it is. What else there is to say of it is noted: that a collection holds the
    same pictures and has its folder still, or a folder around this one.
    """
    there = store.collections()
    around = [name for name, metadata in there.items() if root.is_relative_to(metadata.root)]
    if around:
        name = max(around, key=lambda found: len(there[found].root))
        place = there[name].root
        note(f"{root} lies in {shown(place)}, which {name!r} holds: `ingest run {shown(place)}` brings that up to date")
        return None
    sample = _contents(files)
    for name, metadata in there.items():
        if not _may_be(metadata, options) or not _holds(store, name, sample, len(files)):
            continue
        if is_there(Path(metadata.root)):
            note(
                f"{root} holds the pictures of {name!r}, whose folder {shown(metadata.root)} is there too: "
                "this one gets a collection of its own"
            )
            continue
        note(f"it is {name!r}, moved from {shown(metadata.root)}")
        return name
    return None


def _may_be(metadata: CollectionMetadata, options: Options) -> bool:
    made_alike = options.encoder in (AUTO, metadata.encoder) and options.words in (AUTO, metadata.words)
    return made_alike and metadata.pending != Pending.CREATING


def _contents(files: Sequence[PictureFile]) -> list[str]:
    """The SHA-256 of some files from the first to the last, as far as they can be read."""
    step = max(1, len(files) // SAMPLED)
    contents = []
    for file in files[::step][:SAMPLED]:
        with suppress(OSError, PictureError):
            contents.append(sha256(read_file(file)[1]).hexdigest())
    return contents


def _holds(store: Store, name: str, sample: Sequence[str], files: int) -> bool:
    """Whether a collection holds most of the sample, and hardly more pictures than there are files."""
    if not sample:
        return False
    try:
        with store.open(name) as collection:
            if files < LEAST_SHARE * collection.count():
                return False
            known = {point.payload.get("sha256") for page in collection.scroll() for point in page}
    except (StoreError, DiskFull) as error:
        note(f"whether this folder is that of {name!r} is not known: {error}")
        return False
    return sum(content in known for content in sample) >= LEAST_SHARE * len(sample)
