"""Pictures whose files are gone. It must not know what is done about those that are there."""

from __future__ import annotations

from collections.abc import Collection as Group
from collections.abc import Iterable

from ingest.collection import Ledger
from ingest.pipeline.report import Report
from ingest.records import stable_id
from ingest.stores import Collection


def remove_vanished(
    collection: Collection, ledger: Ledger, indexed: Iterable[str], seen: Group[str], report: Report, *, keep: bool
) -> None:
    """Remove pictures and bad files that the scan has not seen, but none from folders that it could not look into.

    Args:
        indexed: paths that the collection held before the run. seen: paths that the scan found.
        report: says which folders were left out; what is removed is counted in it.
        keep: only count pictures whose files are gone.
    """
    left_out = report.left_out
    unseen = tuple(f"{folder}/" for folder in (*left_out.unreadable, *left_out.links))
    vanished = [path for path in indexed if path not in seen and not path.startswith(unseen)]
    if keep:
        report.missing = len(vanished)
    else:
        collection.delete([stable_id(path) for path in vanished])
        report.removed += len(vanished)
    ledger.keep_only(set(seen), unseen)
