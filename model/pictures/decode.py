"""The one place that opens image files: within limits, decoded right or refused with the reason.

What is in the samples, colours, frames and bytes of a format is known to the files beside it.
"""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import PurePath

import PIL
from PIL import Image, ImageFile, features

from model.errors import PictureError, PictureNoMemory, PictureTooLarge, PictureTooSlow
from model.pictures.c_messages import Heard, listening
from model.pictures.colours import in_srgb, is_profiled
from model.pictures.frames import FORMATS_OF_FRAMES, choose_frame
from model.pictures.framing import Framed, Framing, frame_with_signature
from model.pictures.mending import LEAST_SHARE, Mended, mended
from model.pictures.modes import as_seen, raw_mode
from model.pictures.orientation import QUARTER_TURNS, turn_of
from model.pictures.stills import raw_available, still_endings, still_of, video_available
from model.pictures.structure import missing, why_unknown
from model.pictures.tiff import BIG_ENDIAN_BIGTIFF, Layout, layout

# Only formats whose decoders run inside Pillow: EPS, for one, would start another program.
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
HEIC_ENDINGS = frozenset({".heic", ".heif", ".hif"})
ENDINGS = HEIC_ENDINGS | frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .gif .webp .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm "  # noqa: SIM905
    ".jp2 .j2k .jpx .avif".split()
)
"""File name endings, in lower case, of what is taken for a picture in a folder, beside `still_endings`."""

MAX_FILE_BYTES = 1 << 30
"""A file is read whole, so that what is hashed is what is decoded; no picture needs more than this."""

NO_MEMORY = "not enough memory to decode it"

DEFAULT_MAX_MEGAPIXELS = 200
"""Above the largest phone sensors (200 MP is 199.8 million pixels), below what fills a machine's memory."""

LARGE_PIXELS = 30_000_000
"""Pictures above this are decoded one at a time: 30 MP is 90 MB as RGB, with copies while converting."""

DRAFT_MARGIN = 4
"""A JPEG is decoded at a half, a quarter or an eighth of its size where that leaves the shorter side so many times
as long as an encoder wants it: from 2048 pixels on. A 12 MP photo then takes 0.4 of the time, and its vector turns
no further (cosine 0.9996 in the median) than it does where the file is saved again at quality 80."""

# Pillow's own limit warns at half of where it refuses and cannot be set for one call; ours is checked
# from the header, before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
_one_large_at_a_time = threading.Lock()

LARGE_WAIT_SECONDS = 30.0
"""A large picture waits so long for another; one that never ends must not stop all others."""

READER = 3
"""Raised where files that were refused may be read: they are then tried again."""


def is_picture_name(name: str | PurePath) -> bool:
    """Whether a file of this name is taken for a picture when a folder is scanned."""
    ending = PurePath(name).suffix.lower()
    return ending in ENDINGS or ending in still_endings()


@cache
def heic_available() -> bool:
    """Whether HEIC can be read: registers pillow-heif the first time, where it is installed."""
    if find_spec("pillow_heif") is None:
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True


@cache
def decoder_version() -> str:
    """What decodes pictures here, with versions: another one may give other pixels."""
    parts = [f"Pillow {PIL.__version__}"]
    if jpeg := features.version("jpg"):
        parts.append(f"libjpeg {jpeg}")
    if heic_available():
        import pillow_heif

        parts.append(f"libheif {pillow_heif.libheif_version()}")
    return ", ".join(parts)


def reader_version(max_megapixels: int, max_seconds: int, *, strict: bool = False) -> str:
    """What decides whether a file can be read; a file refused under another version is tried again."""
    kinds = {"heic": heic_available(), "raw": raw_available(), "video": video_available()}
    more = "".join(f"+{kind}" for kind, is_read in kinds.items() if is_read)
    whole = "/strict" if strict else ""
    return (
        f"pillow-{PIL.__version__}{more}/reader-{READER}/draft-{DRAFT_MARGIN}/{max_megapixels}MP/{max_seconds}s{whole}"
    )


PIECE_BYTES = 4096
"""Given to a decoder at a time: Pillow's 64 kB can hold 50 s of work; a photo takes as long with either."""


class _TimedBytes(io.BytesIO):
    """Bytes that refuse to be read after a deadline: Pillow's decoders ask for them piece by piece.

    A progressive JPEG of some megabytes can hold scans enough for hours.
    """

    def __init__(self, data: bytes, deadline: float) -> None:
        super().__init__(data)
        self._deadline = deadline

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise PictureTooSlow("not decoded in time")
        return super().read(size)


@dataclass(frozen=True, slots=True)
class _Limits:
    """How a file may be read, and for what.

    ``deadline``: by `time.monotonic`. ``side``: pixels; a JPEG may be decoded at a half, a quarter or an eighth of its
    size as long as its shorter side has that; 0: at its full size. ``shown_at``: as `open_picture`; 0: not to be shown.
    """

    name: str
    max_megapixels: int
    deadline: float
    strict: bool
    side: int = 0
    shown_at: int = 0


@dataclass(frozen=True, slots=True)
class _Picture:
    """``image``: upright, its colours not in sRGB yet. ``width``, ``height``: of the whole, upright."""

    image: Image.Image
    width: int
    height: int
    frame: int
    damaged: str = ""


def open_picture(
    data: bytes,
    *,
    name: str = "picture",
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
    shown_at: int = 0,
    deadline: float = math.inf,
    strict: bool = False,
) -> Image.Image:
    """Decode the frame that stands for an image file, upright, as RGB in sRGB.

    EXIF orientation and colour profiles are applied, transparency is laid on white, or on black where white would hide
    what is drawn; samples of other depths are scaled to 8 bits. Of a damaged JPEG or PNG the rows that are left are
    shown, where most are.

    Args:
        data: the whole file.
        name: the file's name, whose ending tells raw files and videos from pictures.
        max_megapixels: refuse larger pictures; 0 lifts the limit.
        shown_at: the longer side it is going to be shrunk to, pixels: a large picture is then decoded at a part
            of its size, at least twice this. Not for an encoder, whose vectors would change. 0: at its full size.
        deadline: by `time.monotonic`; a single call of a decoder is not interrupted by it.
        strict: refuse damaged pictures, however much of them is left.

    Raises:
        PictureTooLarge: more pixels than the limit.
        PictureTooSlow: the deadline is over.
        PictureError: empty, damaged or no picture.
    """
    return in_srgb(_read(data, _Limits(name, max_megapixels, deadline, strict, shown_at=shown_at)).image)


def open_framed(
    data: bytes,
    framing: Framing,
    *,
    name: str = "picture",
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
    deadline: float = math.inf,
    strict: bool = False,
) -> Framed:
    """Decode as `open_picture` does and frame, large JPEGs at reduced size: so every stored vector is made.

    ``deadline``, ``strict``, errors: as `open_picture`.
    """
    side = DRAFT_MARGIN * framing.resize
    picture = _read(data, _Limits(name, max_megapixels, deadline, strict, side=side))
    pixels, signature = frame_with_signature(picture.image, framing)
    return Framed(pixels, picture.width, picture.height, picture.damaged, picture.frame, signature)


def _read(data: bytes, limits: _Limits) -> _Picture:
    """The picture, or as much of a damaged one as viewers show."""
    data = still_of(data, limits.name, limits.deadline)
    try:
        return _read_file(data, limits)
    except (PictureTooLarge, PictureTooSlow):
        raise
    except PictureError as error:
        reason = error
    whole = mended(data)
    if whole and whole.fault:
        reason = PictureError(f"{BROKEN}{whole.fault}")
    if whole is None or limits.strict:
        raise reason
    try:
        picture = _read_file(whole.data, limits, whole)
    except (PictureTooSlow, _TooLittleError):
        raise
    except PictureError:
        raise reason from None
    return replace(picture, damaged=str(reason).removeprefix(BROKEN))


class _TooLittleError(PictureError):
    """Of a damaged picture too few rows are left."""


BROKEN = "broken picture: "


def _read_file(data: bytes, limits: _Limits, repaired: Mended | None = None) -> _Picture:
    with listening() as heard, _opened(data, limits, heard) as image:
        _check_size(image, limits.max_megapixels)
        frame = _frame_of(image, data, limits)
        kind = layout(data, frame) if image.format == "TIFF" else None
        width, height = image.size
        with _room_for(image, limits):
            raw = raw_mode(image)
            image.load()  # a truncated file is refused here
            if repaired:
                _check_share(repaired.share(image))
            turn = turn_of(image)
            seen = as_seen(image, data, raw, kind)
            upright = seen if turn is None else seen.transpose(turn)
        if turn in QUARTER_TURNS:
            width, height = height, width
        damaged = _remark(heard, height, limits) if heard.errors else ""
        return _Picture(_shrunk(upright, limits.shown_at), width, height, frame, damaged)


def _frame_of(image: Image.Image, data: bytes, limits: _Limits) -> int:
    """Go to the frame that stands for the file; its number."""
    if image.format not in FORMATS_OF_FRAMES or isinstance(image, _StandIn):
        return 0
    with Image.open(_TimedBytes(data, limits.deadline), formats=[image.format]) as again:
        number = choose_frame(again, limits.max_megapixels * 1_000_000)
    if number:
        image.seek(number)
    return number


def _check_share(share: float) -> None:
    if share < LEAST_SHARE:
        raise _TooLittleError(f"{BROKEN}only {share:.0%} of its rows can be decoded")


def _remark(heard: Heard, rows: int, limits: _Limits) -> str:
    """What is wrong with a TIFF that was decoded in spite of errors."""
    if limits.strict:
        raise PictureError(f"{BROKEN}{heard.first}")
    _check_share(1 - heard.errors / max(1, rows))
    return heard.first


def _shrunk(image: Image.Image, shown_at: int) -> Image.Image:
    """Before its colours are brought to sRGB, at a cost per pixel."""
    factor = max(image.size) // (2 * shown_at) if shown_at else 1
    return image.reduce(factor) if factor > 1 and is_profiled(image) else image


@contextmanager
def _opened(data: bytes, limits: _Limits, heard: Heard) -> Iterator[Image.Image]:
    """The picture, its pixels not decoded yet; whatever goes wrong inside becomes a PictureError."""
    if not data:
        raise PictureError("empty file")
    heic = heic_available()
    try:
        with _identified(data, limits.deadline) as image:
            if isinstance(image, ImageFile.ImageFile):
                image.decodermaxblock = PIECE_BYTES
            if said := missing(data, image):
                raise PictureError(f"{BROKEN}{said}")
            yield image
    except PictureError:
        raise
    except MemoryError:
        raise PictureNoMemory(NO_MEMORY) from None
    except PIL.UnidentifiedImageError:
        if PurePath(limits.name).suffix.lower() in HEIC_ENDINGS and not heic:
            raise PictureError("HEIC needs another package: pip install pillow-heif") from None
        said = why_unknown(data)
        raise PictureError(f"{BROKEN}{said}" if said else "not a picture of a known format") from None
    except Exception as error:  # decoders meet hostile bytes with every exception there is
        reason = heard.first or _one_line(error)
        if "out of memory" in str(error):  # as Pillow says it of a codec
            raise PictureNoMemory(NO_MEMORY) from error
        kind = layout(data)
        if kind and reason.startswith("decoder error"):
            reason = f"{kind}, which cannot be read here"
        if reason.startswith("Unsupported BMP"):
            raise PictureError(f"a BMP that cannot be read here: {reason}") from error
        raise PictureError(f"{BROKEN}{reason}") from error


def _identified(data: bytes, deadline: float) -> Image.Image:
    """Pillow's; of a TIFF that it does not know, a stand-in of that size, whose samples `as_seen` reads."""
    try:
        if data[:4] == BIG_ENDIAN_BIGTIFF:  # Pillow warns of it on standard error, and gives up
            raise PIL.UnidentifiedImageError
        return Image.open(_TimedBytes(data, deadline), formats=installed_formats())
    except PIL.UnidentifiedImageError:
        kind = layout(data)
        if kind is None or not kind.extents or why_unknown(data):
            raise
        return _StandIn(kind)


class _StandIn(Image.Image):
    """A TIFF that Pillow does not know: its size, and nothing in it."""

    format = "TIFF"

    def __init__(self, kind: Layout) -> None:
        super().__init__()
        self._size = (kind.width, kind.height)


@cache
def installed_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that Pillow reads here; to be asked after `heic_available`, which adds one."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."


def _check_size(image: Image.Image, max_megapixels: int) -> None:
    """Raises where it has no pixels, or too many."""
    pixels = image.width * image.height
    if pixels == 0:
        raise PictureError("a picture of no pixels")
    if max_megapixels and pixels > max_megapixels * 1_000_000:
        raise PictureTooLarge(
            f"{image.width} x {image.height} pixels, over the limit of {max_megapixels} megapixels: "
            "--max-megapixels lifts it"
        )


@contextmanager
def _room_for(image: Image.Image, limits: _Limits) -> Iterator[None]:
    """A JPEG is set to be decoded small where that is enough; while a large picture is decoded, no other one is."""
    pixels = image.width * image.height
    if draft := _draft(image, limits):
        image.draft(None, draft)
        if "progressive" not in image.info:  # of those, the decoder holds all coefficients
            pixels = image.width * image.height
    if pixels <= LARGE_PIXELS:
        yield
        return
    alone = _one_large_at_a_time.acquire(timeout=LARGE_WAIT_SECONDS)
    try:
        yield
    finally:
        if alone:
            _one_large_at_a_time.release()


def _draft(image: Image.Image, limits: _Limits) -> tuple[int, int] | None:
    """The least size to decode at."""
    if limits.shown_at:
        share = 2 * limits.shown_at / max(1, *image.size)
        return math.ceil(image.width * share), math.ceil(image.height * share)
    return (limits.side, limits.side) if limits.side else None
