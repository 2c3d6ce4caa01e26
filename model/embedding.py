"""Files to feature vectors: read and decoded ahead in threads, encoded in batches, in bounded memory."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.cache import in_mb
from model.dataset import PictureFile
from model.encoder import Encoder
from model.errors import PictureError
from model.picture import DEFAULT_MAX_MEGAPIXELS, Framing, Pixels, frame, open_picture

MAX_FILE_BYTES = 1 << 30
"""A file is read whole, so that what is hashed is what is decoded; no picture needs more than this."""

LOOKAHEAD_BATCHES = 2
"""Batches decoded while one is encoded: enough to keep the encoder fed, 5 MB of framed pictures each."""

WAITING_BATCHES = 4
"""Records held back at most, in batches, while those between them fill a batch for the encoder."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Embedded:
    """One picture and its vector.

    ``file`` says what was read, which is newer than what the scan saw. ``sha256``: hex, of the file.
    ``width``, ``height``: pixels, upright. ``features``: (encoder's width,) float32, or None where the
    caller knew this content already.
    """

    file: PictureFile
    sha256: str
    width: int
    height: int
    features: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Failed:
    """One file that could not be read, and why. ``transient``: not for what is in it, so try again."""

    file: PictureFile
    reason: str
    transient: bool = False


@dataclass(frozen=True, slots=True)
class _Decoded:
    embedded: Embedded
    pixels: Pixels


def decode_threads() -> int:
    """Threads that read and decode: one a core, up to eight, beyond which disks are what limits."""
    return min(8, os.cpu_count() or 1)


def embed(
    files: Iterable[PictureFile],
    encoder: Encoder,
    *,
    is_known: Callable[[str], bool] = lambda _: False,
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
) -> Iterator[Embedded | Failed]:
    """Read, decode and encode ``files``; every file gives exactly one record, in their order.

    Args:
        is_known: told a file's SHA-256; where it answers yes, the picture is neither decoded nor encoded.
        max_megapixels: refuse larger pictures; 0 lifts the limit.
    """
    spec = encoder.spec

    def load(file: PictureFile) -> _Decoded | Embedded | Failed:
        return _load(file, spec.framing, is_known, max_megapixels)

    ahead = LOOKAHEAD_BATCHES * spec.batch_size
    waiting: list[_Decoded | Embedded | Failed] = []
    to_encode = 0
    for loaded in in_order(load, files, threads=decode_threads(), ahead=ahead):
        waiting.append(loaded)
        to_encode += isinstance(loaded, _Decoded)
        if to_encode in (0, spec.batch_size) or len(waiting) == WAITING_BATCHES * spec.batch_size:
            yield from _encode(waiting, encoder)
            waiting, to_encode = [], 0
    yield from _encode(waiting, encoder)


def _encode(waiting: list[_Decoded | Embedded | Failed], encoder: Encoder) -> Iterator[Embedded | Failed]:
    pixels = [loaded.pixels for loaded in waiting if isinstance(loaded, _Decoded)]
    features = iter(encoder.encode(np.stack(pixels)) if pixels else ())
    for loaded in waiting:
        if isinstance(loaded, _Decoded):
            yield replace(loaded.embedded, features=next(features))
        else:
            yield loaded


def in_order(work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int) -> Iterator[Result]:
    """``work(item)`` of every item, in their order, up to ``ahead`` of them done in advance in threads."""
    pending: deque[Future[Result]] = deque()
    executor = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        for item in items:
            pending.append(executor.submit(work, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _load(
    file: PictureFile, framing: Framing, is_known: Callable[[str], bool], max_megapixels: int
) -> _Decoded | Embedded | Failed:
    try:
        file, data = read_file(file)
        sha256 = hashlib.sha256(data).hexdigest()
        if is_known(sha256):
            return Embedded(file, sha256, 0, 0, None)
        image = open_picture(data, name=file.relative, max_megapixels=max_megapixels)
        return _Decoded(Embedded(file, sha256, image.width, image.height, None), frame(image, framing))
    except PictureError as error:
        return Failed(file, str(error))
    except OSError as error:
        return Failed(file, error.strerror or str(error), transient=True)
    except MemoryError:
        return Failed(file, "not enough memory to read it", transient=True)


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
