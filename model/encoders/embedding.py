"""Files to feature vectors: read and decoded ahead in threads, encoded in batches, in bounded memory."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.encoders.base import Encoder, Features
from model.errors import DatasetError, PictureError, PictureNoMemory, PictureTooSlow
from model.pictures import (
    DEFAULT_MAX_MEGAPIXELS,
    MAX_FILE_BYTES,
    Framing,
    PhotoMetadata,
    PictureFile,
    Pixels,
    in_order,
    open_framed,
    read_photo_metadata,
)
from model.system.disk import in_mb

DEFAULT_MAX_SECONDS = 60
"""A thousand times what a photo takes; a file that takes longer must not hold up the others."""

LOOKAHEAD_BATCHES = 4
"""Batches decoded ahead for each that is encoded, 1.2 MB of framed pictures each on a CPU."""

WAITING_BATCHES = 8
"""Records held back at most, in batches, while those between them fill a batch for the encoder."""

GRACE_SECONDS = 1.0
"""For a decoder that looks at the clock to end by itself, so that its thread need not be given up."""

SECONDS_PER_MEGABYTE = 1
"""Added to a file's time limit, so that a large one may come from a slow disk."""

REMEMBERED = 1024
"""Vectors encoded last that are kept, so that copies lying near each other are encoded once: 16 MB at most."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One picture and its vector.

    ``file`` says what was read, which is newer than what the scan saw. ``sha256``: hex, of the file.
    ``width``, ``height``: pixels, upright. ``features``: (encoder's width,) float32, or None where the
    caller knew this content already. ``damaged``, ``frame``, ``signature``: as of `model.pictures.Framed`. ``photo``:
    what its header says of how it was taken. ``text``: what stands in it, where that was read before of this content.
    """

    file: PictureFile
    sha256: str
    width: int
    height: int
    features: NDArray[np.float32] | None
    damaged: str = ""
    frame: int = 0
    signature: bytes = b""
    photo: PhotoMetadata | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """One file that could not be read, and why. ``transient``: not for what is in it, so try again."""

    file: PictureFile
    reason: str
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Vanished:
    """One file that was there when the folder was looked through, and was not when it was to be read."""

    file: PictureFile
    reason: str = "it is gone"


@dataclass(frozen=True, slots=True)
class Stopped:
    """The last record where not all files could be read, and why: so many were given up that their disk must be gone.

    What came before it is as good as ever; whoever keeps records keeps those, and then raises.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class _Decoded:
    """``pixels``: None where a picture of the same content is on its way already."""

    embedded: Embedded
    pixels: Pixels | None


Record: TypeAlias = Embedded | Failed | Vanished | Stopped
"""What becomes of a file."""

_Loaded = _Decoded | Record


def decode_threads() -> int:
    """Threads that read and decode: one a core, up to eight, beyond which disks are what limits."""
    return min(8, os.cpu_count() or 1)


def embed(
    files: Iterable[PictureFile],
    encoder: Encoder,
    *,
    is_known: Callable[[str], bool] = lambda _: False,
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
    max_seconds: int = DEFAULT_MAX_SECONDS,
    strict: bool = False,
) -> Iterator[Record]:
    """Read, decode and encode ``files``; every file gives exactly one record, in their order, unless it ends with
    `Stopped`.

    Decoding and encoding have threads of their own and work ahead of whoever takes the records; the system shares
    the cores between them, so that none of them waits while there is work.

    Args:
        is_known: called with a file's SHA-256; where it answers yes, the picture is neither decoded nor encoded.
        max_megapixels: refuse larger pictures; 0 lifts the limit.
        max_seconds: give up files that take longer, and a second more for each megabyte; 0 lifts the limit.
        strict: refuse damaged pictures, however much of them is left.
    """

    def encode(batch: list[_Loaded]) -> list[_Loaded]:
        return _encode(batch, encoder)

    latest: dict[str, NDArray[np.float32] | None] = {}
    loader = _Loader(encoder.spec.framing, is_known, max_megapixels, max_seconds, strict=strict)
    loaded = loader.load_ahead(files, LOOKAHEAD_BATCHES * encoder.streams * encoder.batch_size)
    loading = _batches(loaded, encoder.batch_size, latest)
    for batch in in_order(encode, loading, threads=encoder.streams, ahead=encoder.streams):
        for result in batch:
            if isinstance(result, _Decoded):
                result = replace(result.embedded, features=latest[result.embedded.sha256])
            elif isinstance(result, Embedded) and result.features is not None:
                latest[result.sha256] = result.features
            yield result
        for sha256 in list(latest)[:-REMEMBERED]:
            del latest[sha256]


def _batches(
    loaded: Iterable[_Loaded], size: int, latest: dict[str, NDArray[np.float32] | None]
) -> Iterator[list[_Loaded]]:
    """Lists with up to ``size`` pictures to encode; those whose content is among ``latest`` are not."""
    batch: list[_Loaded] = []
    to_encode = 0
    for record in loaded:
        if isinstance(record, _Decoded):
            sha256 = record.embedded.sha256
            is_copy = sha256 in latest
            latest[sha256] = latest.pop(sha256, None)  # the last to be forgotten
            record = replace(record, pixels=None) if is_copy else record
            to_encode += not is_copy
        batch.append(record)
        if to_encode in (0, size) or len(batch) == WAITING_BATCHES * size:
            yield batch
            batch, to_encode = [], 0
    yield batch


def encode_views(encoder: Encoder, pictures: Sequence[Pixels]) -> Features:
    """Pictures of one or several views each to (n, width) float32.

    Of several views it is the root of the mean of their squares, number by number, each with its sign: a view with
    something in it says more than one of an empty sky.
    """
    features = [encoder.encode(piece) for piece in _pieces(np.concatenate(pictures), encoder.batch_size)]
    each = np.split(np.concatenate(features), np.cumsum([len(views) for views in pictures])[:-1])
    return np.stack([of_one[0] if len(of_one) == 1 else _joined(of_one) for of_one in each])


def _joined(views: Features) -> Features:
    """(views, width) to (width,)."""
    powers: Features = (views * np.abs(views)).mean(axis=0)
    return np.sign(powers) * np.sqrt(np.abs(powers))


def _pieces(views: Pixels, size: int) -> list[Pixels]:
    return [views[start : start + size] for start in range(0, len(views), size)]


def _encode(batch: list[_Loaded], encoder: Encoder) -> list[_Loaded]:
    pixels = [record.pixels for record in batch if isinstance(record, _Decoded) and record.pixels is not None]
    features = iter(encode_views(encoder, pixels) if pixels else ())
    return [
        replace(record.embedded, features=next(features))
        if isinstance(record, _Decoded) and record.pixels is not None
        else record
        for record in batch
    ]


class _Loader:
    """Reads and decodes files, and says what became of one that was given up."""

    def __init__(
        self,
        framing: Framing,
        is_known: Callable[[str], bool],
        max_megapixels: int,
        max_seconds: int,
        *,
        strict: bool,
    ) -> None:
        self._framing = framing
        self._is_known = is_known
        self._max_megapixels = max_megapixels
        self._max_seconds = max_seconds
        self._strict = strict
        self._decoding: set[str] = set()

    def load_ahead(self, files: Iterable[PictureFile], ahead: int) -> Iterator[_Loaded]:
        """`load` of every file, in their order; `Stopped` in place of the rest where too many are given up."""
        threads = decode_threads()
        try:
            yield from in_order(self.load, files, limit=self.patience, late=self.late, threads=threads, ahead=ahead)
        except DatasetError as error:
            yield Stopped(str(error))

    def limit(self, file: PictureFile) -> float:
        """Seconds."""
        return self._max_seconds + SECONDS_PER_MEGABYTE * (file.size >> 20) if self._max_seconds else math.inf

    def patience(self, file: PictureFile) -> float:
        """Seconds until a file is given up: a little after it should have given up by itself."""
        return min(self.limit(file) + GRACE_SECONDS, threading.TIMEOUT_MAX)

    def late(self, file: PictureFile) -> Failed:
        """What is recorded of a file given up: of one read in time it is the content that is at fault."""
        read = file.relative in self._decoding
        what = "decoded" if read else "read"
        reason = f"not {what} within {self.limit(file):.0f} s: --max-seconds allows more"
        return Failed(file, reason, transient=not read)

    def load(self, file: PictureFile) -> _Loaded:
        deadline = time.monotonic() + self.limit(file)
        try:
            file, data = read_file(file)
            sha256 = hashlib.sha256(data).hexdigest()
            photo = read_photo_metadata(data, file.mtime_ns, name=file.relative)
            if self._is_known(sha256):
                return Embedded(file, sha256, 0, 0, None, photo=photo)
            self._decoding.add(file.relative)
            framed = open_framed(
                data,
                self._framing,
                name=file.relative,
                max_megapixels=self._max_megapixels,
                deadline=deadline,
                strict=self._strict,
            )
            seen = (framed.width, framed.height, None, framed.damaged, framed.frame, framed.signature)
            return _Decoded(Embedded(file, sha256, *seen, photo), framed.pixels)
        except PictureTooSlow:
            return self.late(file)
        except PictureNoMemory as error:
            return Failed(file, str(error), transient=True)
        except PictureError as error:
            return Failed(file, str(error))
        except OSError as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not os.path.islink(file.path):
                return Vanished(file)
            return Failed(file, error.strerror or str(error), transient=True)
        except MemoryError:
            return Failed(file, "not enough memory to read it", transient=True)
        finally:
            self._decoding.discard(file.relative)


def _without_waiting(path: str, flags: int) -> int:
    """A pipe that took the place of a picture must not make the run wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_file(file: PictureFile) -> tuple[PictureFile, bytes]:
    """The whole content, and the file's size and time as they were while it was read.

    Raises:
        PictureError: no regular file, or too large.
        OSError: it cannot be read, or changed meanwhile.
    """
    with open(file.path, "rb", opener=_without_waiting) as opened:
        before = os.fstat(opened.fileno())
        file = replace(file, size=before.st_size, mtime_ns=before.st_mtime_ns)
        if not stat.S_ISREG(before.st_mode):
            raise PictureError("no regular file")
        if before.st_size > MAX_FILE_BYTES:
            limit = in_mb(MAX_FILE_BYTES)
            raise PictureError(f"a file of {in_mb(before.st_size)}, over the limit of {limit}")
        data = opened.read(before.st_size + 1)
        after = os.fstat(opened.fileno())
    seen = (len(data), after.st_size, after.st_mtime_ns)
    if seen != (before.st_size, before.st_size, before.st_mtime_ns):
        raise OSError(errno.EAGAIN, "changed while it was read")
    return file, data
