"""The Parquet tables of a snapshot, read only where they are as large as the manifest lets one expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingest.errors import StoreDamaged

MOST_ROW_BYTES = 1 << 17
SPARE_BYTES = 1 << 24


def read_table(path: Path, rows: int) -> Any:
    """A table of so many rows.

    Raises:
        StoreDamaged: it has other rows, or says that it unpacks to more than these can take.
        ArrowException, OSError: it cannot be read.
    """
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        metadata = file.metadata
        unpacked = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        if metadata.num_rows != rows or unpacked > SPARE_BYTES + MOST_ROW_BYTES * rows:
            raise StoreDamaged(f"{path} has other rows than its manifest says: export the snapshot again")
        table = file.read()
    if len(table) != rows:
        raise StoreDamaged(f"{path} has other rows than its manifest says: export the snapshot again")
    return table
