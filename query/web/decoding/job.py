"""What is asked of a decoding process, and what it gives back. It must not know who runs it."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import PictureError, PictureNoMemory, PictureTooLarge, PictureTooSlow
from model.pictures import Framed, Framing

DEFAULT_MEMORY_MB = 512

ERRORS: dict[str, type[PictureError]] = {
    kind.__name__: kind for kind in (PictureError, PictureNoMemory, PictureTooLarge, PictureTooSlow)
}
"""Those that a process may report, by name: it decodes what strangers send, so nothing of it is unpickled."""


@dataclass(frozen=True, slots=True)
class Job:
    """A picture to decode: as a small JPEG, as an encoder sees it, or both.

    ``small``: pixels of the JPEG's longer side; 0: none is wanted. ``framing``: None where no encoder is to see it.
    ``name``: of the file. ``max_megapixels``: 0 lifts the limit, not that of memory.
    """

    small: int = 0
    framing: Framing | None = None
    name: str = "picture"
    max_megapixels: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """``small``: a JPEG file, empty where none was wanted."""

    small: bytes
    framed: Framed | None
