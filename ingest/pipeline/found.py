"""What a folder has for its collection, and which collection that is. It must not know what is done with either."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingest.collection import Options
from ingest.pipeline.moved import find_moved, name_for
from ingest.pipeline.report import Report
from ingest.stores import Store, check_name, collection_name
from model.errors import DatasetError
from model.pictures import Exclusions, LeftOut, PictureFile, dataset_root, scan


@dataclass(frozen=True, slots=True)
class Found:
    """``files``: all pictures below ``root``. ``report``: begun, with the collection's name and what was left out.
    ``may_move``: whether that collection may have been made from the folder where it was before."""

    root: Path
    files: list[PictureFile]
    report: Report
    may_move: bool


def look_through(store: Store, folder: Path, name: str, options: Options) -> Found:
    """Look a folder through, and find its collection.

    Args:
        name: the collection's; where empty, that of the collection made from this folder, wherever it was then;
            else the folder's own name.

    Raises:
        DatasetError: no such folder, or no pictures in it.
        UsageError: several collections are of this folder; or a pattern of what is left out is none.
        StoreError: the store cannot be read.
    """
    root = dataset_root(folder)
    left_out = LeftOut(Exclusions(options.exclude))
    report = Report(check_name(name) if name else name_for(root, store), left_out=left_out)
    files = list(scan(root, left_out, follow_links=options.follow_links, within=options.parts))
    if not files:
        where = f"{', '.join(options.parts)} of {folder}" if options.parts else str(folder)
        raise DatasetError(f"no pictures in {where}{_seen_instead(left_out)}; nothing was changed")
    moved = None if report.collection or options.parts else find_moved(store, root, files, options)
    report.collection = moved or report.collection or collection_name(root.name)
    return Found(root, files, report, bool(name or moved))


def _seen_instead(left_out: LeftOut) -> str:
    parts = [f"{count} {ending}" for ending, count in left_out.endings.most_common(3)]
    parts += [f"cannot read {path}: {reason}" for path, reason in list(left_out.unreadable.items())[:2]]
    if left_out.excluded or left_out.junk:
        parts.append(f"{left_out.excluded.total() + left_out.junk.total()} files and folders are excluded")
    if left_out.links:
        parts.append(f"{len(left_out.links)} links to folders, which --follow-links follows")
    return f" (but {', '.join(parts)})" if parts else ""
