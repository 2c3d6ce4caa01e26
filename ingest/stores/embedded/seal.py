"""The seal of a shard: what its files were when the last writer ended well, so that any change since is noticed.

It is kept beside the shard, in `SEAL_FILE`, and says of each file its size, its time, and a checksum; the record of
the collection says which seal is the current one. Before each load the files are compared with it. A file of the same
size and time is taken for unchanged, but for the small ones and those that steer the engine, which are read each time;
`damaged_files` with ``thorough`` reads all. It must not know what the files hold.

The engine writes to files that it only reads: it stamps some of them, and puts the keys of its JSON files in another
order. So times alone are no sign of damage, and JSON is compared by what it says.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ingest.errors import StoreDamaged
from model.system.atomic import replace_file

SEAL_FILE = "seal.json"
BLOCKS_FILE = "seal.blocks"

BLOCK_BYTES = 1 << 16
ALWAYS_BYTES = 1 << 16
"""Files up to this size are read before each load, whatever their time says."""

RESTAMP_BYTES = 16 << 20
"""Where so much had to be read because its time had changed, as in a copied store, the new times are recorded."""

JOURNAL = "tracker_journal.dat"
"""What the engine has written to a list and not yet entered; the next load enters it, and removes the file."""

_ZEROS = bytes(BLOCK_BYTES)

ADDED_AT_LOAD = ("on_disk_payload", "payload_memory")
"""Defaults that the engine writes into ``edge_config.json`` when it first loads a shard, also for a reader."""

Blocks = NDArray[np.uint32]
"""The CRC-32 of each `BLOCK_BYTES` of a file, 0 where a block is all zero."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """One file. ``check``: CRC-32 of its `Blocks`, or of what its JSON says."""

    size: int
    mtime_ns: int
    check: int


def seal_shard(shard: Path, folder: Path) -> int:
    """Seal a closed shard, and write the seal into ``folder``; returns the seal's own checksum.

    Raises:
        OSError: a file cannot be read or written.
    """
    sealed: dict[str, Sealed] = {}
    blocks: list[Blocks] = []
    for name, path in shard_files(shard):
        status = path.stat()
        own = block_checks(path)
        blocks.append(own)
        sealed[name] = Sealed(status.st_size, status.st_mtime_ns, check_of(path, own))
    with replace_file(folder / BLOCKS_FILE) as file:
        file.write(np.concatenate(blocks).astype("<u4").tobytes())
    return _write(folder, sealed)


def _write(folder: Path, sealed: Mapping[str, Sealed]) -> int:
    data = json.dumps({name: [one.size, one.mtime_ns, one.check] for name, one in sealed.items()}, indent=1).encode()
    with replace_file(folder / SEAL_FILE) as file:
        file.write(data)
    return _check_of_seal(data)


def _check_of_seal(data: bytes) -> int:
    """Of sizes and checksums: times may be recorded anew."""
    rows: Mapping[str, list[int]] = json.loads(data)
    return zlib.crc32(json.dumps({name: [row[0], row[2]] for name, row in rows.items()}).encode())


def read_seal(folder: Path, check: int) -> dict[str, Sealed]:
    """The seal in a collection's folder.

    Raises:
        StoreDamaged: it is not the one of that checksum.
        OSError: it cannot be read.
    """
    try:
        data = (folder / SEAL_FILE).read_bytes()
        if _check_of_seal(data) != check:
            raise ValueError("another checksum")
        return {name: Sealed(*map(int, row)) for name, row in json.loads(data).items()}
    except (FileNotFoundError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise StoreDamaged(f"{folder / SEAL_FILE} is missing or was changed") from error


def damaged_files(
    shard: Path,
    folder: Path,
    sealed: Mapping[str, Sealed],
    *,
    thorough: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> list[str]:
    """The names of files of a closed shard that are missing or not what was sealed.

    Args:
        thorough: read every file, whatever its size and time say.
        advance: called with the number of bytes of each file that was looked at.

    Raises:
        OSError: a file cannot be read.
    """
    damaged = []
    stamped = dict(sealed)
    read = 0
    folder_of_shard = os.fspath(shard)
    for name, there in sealed.items():
        path = f"{folder_of_shard}/{name}"  # a hundred files before each question: a `Path` of each takes a millisecond
        try:
            status = os.stat(path)
        except FileNotFoundError:
            damaged.append(name)
            continue
        advance(status.st_size)
        is_same_time = status.st_mtime_ns == there.mtime_ns
        if status.st_size != there.size and not name.endswith(".json"):
            damaged.append(name)
        elif thorough or not is_same_time or _is_always_read(name, there.size):
            if check_of(path) != there.check:
                damaged.append(name)
            elif not is_same_time:
                read += there.size
                stamped[name] = Sealed(there.size, status.st_mtime_ns, there.check)
    if not damaged and read > RESTAMP_BYTES:
        with suppress(OSError):  # on a full disk a question is answered all the same, and the next reads them again
            _write(folder, stamped)
    return damaged


def _is_always_read(name: str, size: int) -> bool:
    return size <= ALWAYS_BYTES or name.endswith(".mappings")


def has_journal(shard: Path) -> bool:
    """Whether the next load will change files of a closed shard."""
    return any(path.name == JOURNAL for _, path in shard_files(shard))


def shard_files(shard: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a shard under its name in it, in the order of names."""
    found = [Path(place, name) for place, _, names in os.walk(shard) for name in names]
    return iter(sorted((path.relative_to(shard).as_posix(), path) for path in found))


def damaged_bytes(folder: Path, sealed: Mapping[str, Sealed], shard: Path, name: str) -> list[tuple[int, int]]:
    """Where a sealed file changed, as pieces from a byte to another; all of it where that is not known."""
    whole = [(0, max(sealed[name].size, 1))]
    try:
        recorded = np.frombuffer((folder / BLOCKS_FILE).read_bytes(), "<u4")
        now = block_checks(shard / name)
    except (OSError, ValueError):
        return whole
    counts = [-(-one.size // BLOCK_BYTES) for one in sealed.values()]
    if len(recorded) != sum(counts):
        return whole
    start = sum(counts[: list(sealed).index(name)])
    before = recorded[start : start + -(-sealed[name].size // BLOCK_BYTES)]
    if zlib.crc32(before.astype("<u4").tobytes()) != sealed[name].check or len(before) != len(now):
        return whole
    return [(int(i) * BLOCK_BYTES, (int(i) + 1) * BLOCK_BYTES) for i in np.flatnonzero(before != now)]


def check_of(path: Path | str, blocks: Blocks | None = None) -> int:
    """The checksum of a file, by which it is recognised; a file of holes has that of one full of zeros."""
    if os.fspath(path).endswith(".json"):
        with open(path, "rb", buffering=0) as file:
            said = _said(file.read())
        if said is not None:
            return zlib.crc32(said)
    return zlib.crc32((block_checks(path) if blocks is None else blocks).astype("<u4").tobytes())


def _said(data: bytes) -> bytes | None:
    """What JSON says, whatever the order of its keys and without what the engine adds; None where it is none."""
    try:
        value: Any = json.loads(data)
    except ValueError:
        return None
    if isinstance(value, dict):
        value = {key: one for key, one in value.items() if key not in ADDED_AT_LOAD}
    return json.dumps(value, sort_keys=True).encode()


def block_checks(path: Path | str) -> Blocks:
    """Of every block of a file; holes, which the engine's files mostly are, are not read."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        checks = np.zeros(-(-size // BLOCK_BYTES), np.uint32)
        place = _next_data(file, 0, size) if size > BLOCK_BYTES else 0
        while place < size:
            place -= place % BLOCK_BYTES
            file.seek(place)
            block = _read(file, BLOCK_BYTES)
            if block != _ZEROS[: len(block)]:
                checks[place // BLOCK_BYTES] = zlib.crc32(block) or 1
            place = _next_data(file, place + BLOCK_BYTES, size)
    return checks


def _read(file: IO[bytes], size: int) -> bytes:
    data: bytes = file.read(size)
    return data


def _next_data(file: IO[bytes], place: int, size: int) -> int:
    """Where the next byte is that is in no hole; the end where there is none."""
    if place >= size or not hasattr(os, "SEEK_DATA"):
        return place
    try:
        return os.lseek(file.fileno(), place, os.SEEK_DATA)
    except OSError:  # only holes follow
        return size
