"""Whether the files of a closed shard are those that the last writer left, asked before the engine reads them.

It must not know points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ingest.errors import StoreDamaged
from ingest.stores.embedded.record import Record
from ingest.stores.embedded.seal import SEAL_FILE, Sealed, damaged_files, read_seal
from ingest.stores.embedded.structure import impossible_files
from model.system.names import first_of
from model.system.paths import is_folder

SHARD = "shard"
DAMAGED = "shard.damaged"
"""Where a damaged shard lies while a new one is filled with what is sound of it."""

SHOWN_FILES = 2


def check_shard(folder: Path, name: str, record: Record) -> None:
    """Compare a collection's closed shard with its seal, or see that its files are possible where it has none.

    It takes 5 ms at 100,000 pictures, and reads no large file that seems unchanged.

    Raises:
        StoreDamaged: files are missing or were changed. OSError: one cannot be read.
    """
    bad = find_damage(folder, record)
    if bad == [DAMAGED]:
        raise StoreDamaged(f"the mending of collection {name!r} in {folder} has not come to its end: {remedy(name)}")
    if bad:
        raise StoreDamaged(
            f"collection {name!r} in {folder} is damaged: {first_of(bad, SHOWN_FILES)} changed or missing: "
            f"{remedy(name)}"
        )


def remedy(name: str) -> str:
    """What to do about a damaged collection."""
    return f"`ingest check --repair -c {name}` mends it; the pictures themselves are not touched"


def find_damage(
    folder: Path, record: Record, *, thorough: bool = False, advance: Callable[[int], None] = lambda _: None
) -> list[str]:
    """The names of the shard's files that are missing, changed or impossible, the seal among them; `DAMAGED` alone
    where its mending has not come to its end.

    Args:
        thorough, advance: as for `damaged_files`.

    Raises:
        OSError: one cannot be read.
    """
    if (folder / DAMAGED).exists():
        return [DAMAGED]
    shard = folder / SHARD
    if not is_folder(shard / "segments"):
        return ["segments"]
    try:
        sealed = seal_of(folder, record)
    except StoreDamaged:
        return [SEAL_FILE]
    if sealed is None:
        return impossible_files(shard, is_settled=record.clean)
    unknown = {path.name for path in (shard / "segments").iterdir() if path.is_dir()}
    unknown -= {name.split("/")[1] for name in sealed if name.startswith("segments/")}
    found = damaged_files(shard, folder, sealed, thorough=thorough, advance=advance)
    return [*found, *(f"segments/{segment}" for segment in sorted(unknown))]


def seal_of(folder: Path, record: Record) -> Mapping[str, Sealed] | None:
    """The seal that is true of a collection's shard; None where a writer has not come to its end, or there is none.

    Raises:
        StoreDamaged: the record speaks of one, and it is not there. OSError: it cannot be read.
    """
    return None if record.seal is None or not record.clean else read_seal(folder, record.seal)
