"""All pictures of a collection as their comparison needs them: records in memory, vectors and signatures in temporary
files. It must not know what they are compared for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.records import Picture
from ingest.stores import VISUAL
from model.pictures import SIGNATURE_BYTES, SIGNATURE_SIDE, Greys
from query.asking.joined import Compared

PAGE = 256

Number = TypeVar("Number", np.float32, np.uint8)


@dataclass(frozen=True, slots=True)
class Gathered:
    """``pictures``: in no order, without their signatures. ``vectors``: (pictures, width). ``greys``: of their
    signatures, zeros where a picture has none, which ``signed``, (pictures,), tells."""

    pictures: list[Picture]
    vectors: NDArray[np.float32]
    greys: Greys
    signed: NDArray[np.bool_]


@contextmanager
def gathered(collection: Compared) -> Iterator[Gathered]:
    """Others may write the collection meanwhile and afterwards."""
    width = collection.metadata.vectors[VISUAL]
    pictures: list[Picture] = []
    signed: list[bool] = []
    with TemporaryDirectory(prefix="wordsight-") as place:
        vectors, signatures = Path(place) / "vectors", Path(place) / "signatures"
        with vectors.open("wb") as first, signatures.open("wb") as second:
            for points in collection.scroll([VISUAL], page=PAGE):
                for point in points:
                    picture = Picture.from_payload(point.payload)
                    first.write(point.vectors[VISUAL].astype(np.float32).tobytes())
                    second.write(picture.signature or bytes(SIGNATURE_BYTES))
                    signed.append(bool(picture.signature))
                    pictures.append(replace(picture, signature=b""))
                collection.yield_lock()
        shape = (len(pictures), SIGNATURE_SIDE, SIGNATURE_SIDE)
        yield Gathered(
            pictures,
            _mapped(vectors, np.float32, (len(pictures), width)),
            _mapped(signatures, np.uint8, shape),
            np.array(signed, bool),
        )


def _mapped(file: Path, kind: type[Number], shape: tuple[int, ...]) -> NDArray[Number]:
    """To be changed at will: the file is temporary."""
    return np.memmap(file, kind, "r+", shape=shape) if shape[0] else np.empty(shape, kind)
