"""Files that are no pictures and show one all the same: raw files, by their preview, and videos, by a frame.

Each kind needs a package that is an extra; without it, such files are left out by their endings. It must not know what
pictures are decoded for.
"""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec
from pathlib import PurePath
from typing import IO

from model.errors import PictureError

RAW_ENDINGS = frozenset(
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf .pef "  # noqa: SIM905
    ".raf .raw .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
VIDEO_ENDINGS = frozenset(
    ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .vob .webm .wmv".split()  # noqa: SIM905
)


@cache
def raw_available() -> bool:
    """Whether raw files can be read: where rawpy is installed."""
    return find_spec("rawpy") is not None


@cache
def video_available() -> bool:
    """Whether videos can be read: where PyAV is installed."""
    return find_spec("av") is not None


def still_endings() -> frozenset[str]:
    """Endings, in lower case, of the files that show a picture here."""
    return (RAW_ENDINGS if raw_available() else frozenset()) | (VIDEO_ENDINGS if video_available() else frozenset())


def is_video_name(name: str | PurePath) -> bool:
    """Whether a file of this name is taken for a video."""
    return PurePath(name).suffix.lower() in VIDEO_ENDINGS


def still_of(data: bytes, name: str, deadline: float) -> bytes:
    """As `still_in`, of a whole file in memory."""
    return still_in(io.BytesIO(data), name, deadline) if is_still_name(name) else data


def still_in(file: IO[bytes], name: str, deadline: float) -> bytes:
    """The image file that stands for a raw file or a video; any other file itself.

    Args:
        file: at its beginning; a video is not read whole.
        name: its name, by whose ending it is told what it is.
        deadline: by `time.monotonic`.

    Raises:
        PictureTooSlow: the deadline is over.
        PictureNoMemory, PictureError: it is broken, or its package is not installed.
    """
    ending = PurePath(name).suffix.lower()
    if ending in RAW_ENDINGS:
        if not raw_available():
            raise PictureError("a raw file needs another package: pip install 'wordsight[raw]'")
        from model.pictures.raw import preview_of

        return preview_of(file.read())
    if ending in VIDEO_ENDINGS:
        if not video_available():
            raise PictureError("a video needs another package: pip install 'wordsight[video]'")
        from model.pictures.video import frame_of

        return frame_of(file, deadline)
    return file.read()


def is_still_name(name: str) -> bool:
    """Whether a file of this name shows a picture without being one."""
    return PurePath(name).suffix.lower() in RAW_ENDINGS | VIDEO_ENDINGS
