"""Pictures whose files are gone. It must not know what is done about those that are there.

A disk that is not there is not a deletion: where a whole folder is gone or empty, or a good part of the collection, its
pictures are kept until somebody says that they were deleted. What lies under another name now is not missed.
"""

from __future__ import annotations

from collections.abc import Collection as Group
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.collection import Ledger, Options, RemovedVectors, record_missing
from ingest.pipeline.changes import Indexed
from ingest.pipeline.report import Report
from ingest.records import stable_id
from ingest.stores import VISUAL, Collection, batches
from model.pictures import LeftOut

FEWEST_IN_A_FOLDER = 2
"""A folder of a single picture that is gone is no disk, and its picture is quickly embedded again."""

FEWEST_SCATTERED = 10
LARGEST_SHARE = 0.2
"""More than this share of the pictures, and as many as that, are not removed unasked."""

HERE_AND_THERE = ""
"""Stands for the folder of files that are missing in folders of which something is left."""

PAGE = 256


def settle_vanished(
    collection: Collection,
    ledger: Ledger,
    indexed: Mapping[str, Indexed],
    seen: Group[str],
    contents: Group[str],
    report: Report,
    options: Options,
    removed: RemovedVectors,
) -> None:
    """Remove pictures and bad files that the scan has not seen, but none from folders that it could not look into, nor
    what may be on a disk that is not there. What the rules of the scan leave out is removed without such doubts.

    Args:
        indexed: what the collection held before the run. seen: paths that the scan found.
        contents: SHA-256 of the files that are there.
        report: says which folders were left out; what is removed or missing is counted in it.
        removed: gets the vectors of what is removed.
    """
    unseen = find_unseen(indexed, seen, report.left_out)
    vanished = unseen.gone
    if options.keep_missing:
        missing = _by_folder(vanished, seen)
    elif options.remove_missing:
        missing = {}
    else:
        lost = [path for path in vanished if indexed[path].sha256 not in contents]
        missing = _doubtful(_by_folder(lost, seen), len(indexed))
    kept = {path for paths in missing.values() for path in paths}
    ids = [stable_id(path) for path in (*unseen.excluded, *vanished) if path not in kept]
    for page in batches(ids[-removed.room :], PAGE):
        removed.add(collection.retrieve(page, [VISUAL]).values())
    if not options.parts:  # others may write what is of the whole collection
        removed.save(collection, contents)
    collection.delete(ids)
    report.excluded = len(unseen.excluded)
    report.removed += len(ids) - report.excluded
    report.missing = len(kept)
    gone = {folder: len(paths) for folder, paths in missing.items()}
    report.gone_before = not options.parts and record_missing(collection, gone)
    report.gone = {} if options.keep_missing else gone
    away = tuple(f"{folder}/" if folder else "" for folder in missing)
    ledger.keep_only(set(seen), (*_not_entered(report.left_out), *away))


@dataclass(frozen=True, slots=True)
class Unseen:
    """Indexed paths that a scan has not seen. ``excluded``: its rules leave them out. ``gone``: the others."""

    excluded: list[str]
    gone: list[str]


def find_unseen(indexed: Iterable[str], seen: Group[str], left_out: LeftOut) -> Unseen:
    """What the scan has not seen of the folders that it could look into."""
    elsewhere = _not_entered(left_out)
    paths = [path for path in indexed if path not in seen and not path.startswith(elsewhere)]
    unseen = Unseen([], [])
    for path in paths:
        (unseen.excluded if left_out.rules.leaves_out(path) else unseen.gone).append(path)
    return unseen


def _not_entered(left_out: LeftOut) -> tuple[str, ...]:
    """What paths begin with that lie in folders whose contents the scan does not know."""
    return tuple(f"{folder}/" for folder in (*left_out.unreadable, *left_out.links))


def _by_folder(paths: Sequence[str], seen: Iterable[str]) -> dict[str, list[str]]:
    """Paths by the uppermost folder above them of which nothing is left."""
    if not paths:  # mostly; a run over 200,000 unchanged files need not look at their folders
        return {}
    left = {HERE_AND_THERE}
    for path in seen:
        left.update(_folders_above(path))
    found: dict[str, list[str]] = {}
    for path in paths:
        gone = next((folder for folder in _folders_above(path) if folder not in left), HERE_AND_THERE)
        found.setdefault(gone, []).append(path)
    return found


def _folders_above(path: str) -> Iterator[str]:
    """The uppermost first."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _doubtful(vanished: Mapping[str, list[str]], pictures: int) -> dict[str, list[str]]:
    """Those that may be on a disk that is not there."""
    count = sum(map(len, vanished.values()))
    if count >= FEWEST_SCATTERED and count > LARGEST_SHARE * pictures:
        return dict(vanished)
    return {folder: paths for folder, paths in vanished.items() if folder and len(paths) >= FEWEST_IN_A_FOLDER}
