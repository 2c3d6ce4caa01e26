"""The one place that opens image files."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import PurePath

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image

from model.errors import PictureError, PictureTooLarge, PictureTooSlow
from model.pictures.framing import Framed, Framing, frame

# Only formats whose decoders run inside Pillow: EPS, for one, would start another program.
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
HEIC_ENDINGS = frozenset({".heic", ".heif", ".hif"})
ENDINGS = HEIC_ENDINGS | frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .gif .webp .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm "  # noqa: SIM905
    ".jp2 .j2k .jpx .avif".split()
)
"""File name endings, in lower case, of what is taken for a picture in a folder."""

MAX_FILE_BYTES = 1 << 30
"""A file is read whole, so that what is hashed is what is decoded; no picture needs more than this."""

DEFAULT_MAX_MEGAPIXELS = 200
"""Above the largest phone sensors (200 MP is 199.8 million pixels), below what fills a machine's memory."""

LARGE_PIXELS = 30_000_000
"""Pictures above this are decoded one at a time: 30 MP is 90 MB as RGB, with copies while converting."""

DRAFT_MARGIN = 4
"""A JPEG is decoded at a half, a quarter or an eighth of its size where that leaves the shorter side so many times
as long as an encoder wants it: from 2048 pixels on. A 12 MP photo then takes 0.4 of the time, and its vector turns
no further (cosine 0.9996 in the median) than it does where the file is saved again at quality 80."""

ADDRESSABLE_16_BIT = 65_535

# Not ImageOps.exif_transpose: it writes the EXIF anew besides, and fails where another tag is broken.
TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what makes the picture upright."""
QUARTER_TURNS = {TURNS[orientation] for orientation in (5, 6, 7, 8)}

# Pillow's own limit warns at half of where it refuses and cannot be set for one call; ours is checked
# from the header, before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
_one_large_at_a_time = threading.Lock()

LARGE_WAIT_SECONDS = 30.0
"""A large picture waits so long for another; one that never ends must not stop all others."""


def is_picture_name(name: str | PurePath) -> bool:
    """Whether a file of this name is taken for a picture when a folder is scanned."""
    return PurePath(name).suffix.lower() in ENDINGS


@cache
def heic_available() -> bool:
    """Whether HEIC can be read: registers pillow-heif the first time, where it is installed."""
    if find_spec("pillow_heif") is None:
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True


def reader_version(max_megapixels: int, max_seconds: int) -> str:
    """What decides whether a file can be read; a file refused under another version is tried again."""
    heic = "+heic" if heic_available() else ""
    return f"pillow-{PIL.__version__}{heic}/draft-{DRAFT_MARGIN}/{max_megapixels}MP/{max_seconds}s"


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


def open_picture(
    data: bytes,
    *,
    name: str = "picture",
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
    shown_at: int | None = None,
    deadline: float = math.inf,
) -> Image.Image:
    """Decode the first frame of an image file, upright, as RGB.

    EXIF orientation is applied, transparency is laid on white, 16-bit and float samples are scaled to 8 bits.

    Args:
        data: the whole file.
        name: the file's name, only to tell HEIC from rubbish where HEIC is not installed.
        max_megapixels: refuse larger pictures; 0 lifts the limit.
        shown_at: the longer side it is going to be shrunk to, pixels: a large JPEG is then decoded at a half,
            a quarter or an eighth of its size, at least twice this. Not for an encoder, whose vectors would change.
        deadline: by `time.monotonic`; a single call of a decoder is not interrupted by it.

    Raises:
        PictureTooLarge: more pixels than the limit.
        PictureTooSlow: the deadline is over.
        PictureError: empty, truncated or no picture.
    """
    with _opened(data, name, deadline) as image:
        return _decode(image, max_megapixels, _shown_size(image, shown_at) if shown_at else None)


def _shown_size(image: Image.Image, longest: int) -> tuple[int, int]:
    share = 2 * longest / max(1, *image.size)
    return math.ceil(image.width * share), math.ceil(image.height * share)


def open_framed(
    data: bytes,
    framing: Framing,
    *,
    name: str = "picture",
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
    deadline: float = math.inf,
) -> Framed:
    """Decode as `open_picture` does and frame, large JPEGs at reduced size: so every stored vector is made.

    ``deadline``, errors: as `open_picture`.
    """
    with _opened(data, name, deadline) as image:
        width, height = image.size
        side = DRAFT_MARGIN * framing.resize
        pixels = frame(_decode(image, max_megapixels, (side, side)), framing)
        return Framed(pixels, height, width) if _turn(image) in QUARTER_TURNS else Framed(pixels, width, height)


@contextmanager
def _opened(data: bytes, name: str, deadline: float) -> Iterator[Image.Image]:
    """The picture, its pixels not decoded yet; whatever goes wrong inside becomes a PictureError."""
    if not data:
        raise PictureError("empty file")
    heic = heic_available()
    try:
        with Image.open(_TimedBytes(data, deadline), formats=_installed_formats()) as image:
            image.decodermaxblock = PIECE_BYTES
            yield image
    except PictureError:
        raise
    except MemoryError:
        raise PictureTooLarge("not enough memory to decode it") from None
    except PIL.UnidentifiedImageError:
        if PurePath(name).suffix.lower() in HEIC_ENDINGS and not heic:
            raise PictureError("HEIC needs another package: pip install pillow-heif") from None
        raise PictureError("not a picture of a known format") from None
    except Exception as error:  # decoders meet hostile bytes with every exception there is
        raise PictureError(f"broken picture: {_one_line(error)}") from error


@cache
def _installed_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."


def _decode(image: Image.Image, max_megapixels: int, draft: tuple[int, int] | None = None) -> Image.Image:
    """``draft``: a JPEG may be decoded at a half, a quarter or an eighth, as long as it has that size."""
    pixels = image.width * image.height
    if pixels == 0:
        raise PictureError("a picture of no pixels")
    if max_megapixels and pixels > max_megapixels * 1_000_000:
        raise PictureTooLarge(
            f"{image.width} x {image.height} pixels, over the limit of {max_megapixels} megapixels: "
            "--max-megapixels lifts it"
        )
    if draft:
        image.draft(None, draft)
        if "progressive" not in image.info:  # of those, the decoder holds all coefficients
            pixels = image.width * image.height
    if pixels <= LARGE_PIXELS:
        return _to_rgb(_upright(image))
    alone = _one_large_at_a_time.acquire(timeout=LARGE_WAIT_SECONDS)
    try:
        return _to_rgb(_upright(image))
    finally:
        if alone:
            _one_large_at_a_time.release()


def _upright(image: Image.Image) -> Image.Image:
    image.load()  # a truncated file is refused here
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # noqa: BLE001 - broken EXIF spoils the orientation, not the picture
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    # 16-bit grey; of PGM files Pillow gives it as 32-bit
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        samples = np.array(image, np.float32)
        samples *= 255 / ADDRESSABLE_16_BIT
        return _grey(samples)
    if image.mode in ("I", "F"):
        return _grey(_stretched(np.array(image, np.float32)))
    if image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", layer.size, "white")
        white.info["icc_profile"] = layer.info.get("icc_profile")
        white.paste(layer, mask=layer.getchannel("A"))  # half the memory of a composite of two RGBA pictures
        return white
    return image.convert("RGB")


def _stretched(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """32-bit and float samples have no fixed range: the lowest becomes black, the highest white.

    In place, since they may take a gigabyte.
    """
    np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(samples.min()), float(samples.max())
    if high > low:
        samples -= low
        samples *= 255 / (high - low)
        return samples
    return np.clip(samples, 0, 255, out=samples)


def _grey(samples: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.rint(samples, out=samples).astype(np.uint8)).convert("RGB")
