"""What a picture file says of the moment it was taken: when, where, by which camera; from its header alone.

It must not know pixels, nor what is kept of it.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from model.pictures.decode import heic_available, installed_formats
from model.pictures.orientation import XMP_KEYS
from model.pictures.stills import is_video_name, video_available
from model.pictures.tiff import BIG_ENDIAN_BIGTIFF
from model.pictures.xmp import Properties, properties_of

Source = Literal["exif", "xmp", "video", "file"]
"""Where a date comes from: the camera's own note, a program's, a video's header, or only the time of the file."""

MOST_LETTERS = 100
"""Of a camera's name; real ones have 40."""

MOST_KEYWORDS = 50
"""Of a picture; stock agencies take as many."""

IPTC_KEYWORDS = (2, 25)

DATE = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?\s*(Z|[+-]\d\d:\d\d)?", re.ASCII)
DAY = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)", re.ASCII)
OFFSET = re.compile(r"[+-]\d\d:\d\d", re.ASCII)

EXIF = "{http://ns.adobe.com/exif/1.0/}"
XMP_DATES = (
    f"{EXIF}DateTimeOriginal",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated",
    "{http://ns.adobe.com/xap/1.0/}CreateDate",
)
XMP_KEYWORDS = "{http://purl.org/dc/elements/1.1/}subject"
XMP_MAKE, XMP_MODEL = "{http://ns.adobe.com/tiff/1.0/}Make", "{http://ns.adobe.com/tiff/1.0/}Model"
XMP_LENSES = ("{http://cipa.jp/exif/1.0/}LensModel", "{http://ns.adobe.com/exif/1.0/aux/}Lens")

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PhotoMetadata:
    """``taken``: local time, ISO 8601 to the second, with its offset where that is known; empty where nothing is said.
    ``taken_from``: what said it. ``camera``, ``lens``: names, or empty. ``place``: latitude and longitude in degrees,
    or None. ``orientation``: of EXIF, 1 for upright. ``keywords``: what people and programs wrote to find it by."""

    taken: str = ""
    taken_from: Source = "file"
    camera: str = ""
    lens: str = ""
    place: Place | None = None
    orientation: int = 1
    keywords: tuple[str, ...] = ()


def read_photo_metadata(file: bytes | Path, mtime_ns: int, *, name: str = "") -> PhotoMetadata:
    """What the header of a picture file says; where it has no date, the file's time in this machine's time zone.

    Nothing in a file is an error here: what cannot be read says nothing.

    Args:
        file: its content, or its path, of which no more is read than the header. name: by whose ending videos are
            told; of a path its own.
    """
    heic_available()
    name = name or (file.name if isinstance(file, Path) else "")
    try:
        with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as opened:
            found = _of_video(opened) if is_video_name(name) else _read(opened)
    except Exception:  # noqa: BLE001 - readers meet hostile bytes with every exception there is
        found = PhotoMetadata()
    return found if found.taken else replace(found, taken=_file_time(mtime_ns), taken_from="file")


def _read(file: IO[bytes]) -> PhotoMetadata:
    is_unknown = file.read(4) == BIG_ENDIAN_BIGTIFF  # Pillow warns of it on standard error
    file.seek(0)
    if is_unknown:
        return PhotoMetadata()
    with Image.open(file, formats=installed_formats()) as image:
        return _metadata_of(image)


def _of_video(file: IO[bytes]) -> PhotoMetadata:
    if not video_available():
        return PhotoMetadata()
    from model.pictures.video import video_metadata

    said = video_metadata(file)
    return PhotoMetadata(**said, taken_from="video" if "taken" in said else "file")


def wall_seconds(taken: str) -> int:
    """A local time as seconds since 1970 as if it were UTC: by these, days are what they were where they were spent.

    Raises:
        ValueError: no ISO 8601.
    """
    return int(datetime.fromisoformat(taken).replace(tzinfo=UTC).timestamp())


def _file_time(mtime_ns: int) -> str:
    try:
        return datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC).astimezone().isoformat()
    except (OverflowError, ValueError, OSError):  # a disk may say any number
        return ""


def _metadata_of(image: ImageFile.ImageFile) -> PhotoMetadata:
    packets = [image.info.pop(key) for key in XMP_KEYS if key in image.info]  # Pillow takes an orientation out of it
    exif = Image.Image.getexif(image)  # not PNG's own, which decodes all of it
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    taken = _exif_date(camera)
    name = _camera(_text(exif.get(ExifTags.Base.Make)), _text(exif.get(ExifTags.Base.Model)))
    lens = _text(camera.get(ExifTags.Base.LensModel))
    place = _place(exif.get_ifd(ExifTags.IFD.GPSInfo))
    xmp = _xmp(packets[0]) if packets else {}
    dated = taken or _xmp_date(xmp)
    return PhotoMetadata(
        taken=dated,
        taken_from="exif" if taken else "xmp",
        camera=name or _camera(_first(xmp, XMP_MAKE), _first(xmp, XMP_MODEL)),
        lens=lens or _first(xmp, *XMP_LENSES),
        place=place or _xmp_place(xmp),
        orientation=_orientation(image, exif),
        keywords=_keywords(xmp, _of_iptc(image), exif.get(ExifTags.Base.XPKeywords)),
    )


def _orientation(image: Image.Image, exif: Image.Exif) -> int:
    """HEIC's reader turns a picture as it reads it, and says what it did."""
    value = image.info.get("original_orientation") or exif.get(ExifTags.Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _xmp(packet: object) -> Properties:
    if isinstance(packet, str):
        packet = packet.encode()
    return properties_of(packet) if isinstance(packet, bytes) else {}


def _text(value: object) -> str:
    """What a tag says, without what pads it; of a lens that a camera does not know, dashes."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""
    text = " ".join("".join(c if c.isprintable() else " " for c in text.partition("\0")[0]).split())
    return text[:MOST_LETTERS] if text.strip("-. ") else ""


def _camera(make: str, model: str) -> str:
    """Of ``NIKON CORPORATION`` and ``NIKON D90`` the second alone; ``Apple`` and ``iPhone 12`` are two parts."""
    first = make.partition(" ")[0].lower()
    return model if first and model.lower().startswith(first) else f"{make} {model}".strip()


def _exif_date(camera: Mapping[int, Any]) -> str:
    offset = OFFSET.fullmatch(_text(camera.get(ExifTags.Base.OffsetTimeOriginal)))
    return _date(_text(camera.get(ExifTags.Base.DateTimeOriginal)), offset[0] if offset else "")


def _xmp_date(xmp: Properties) -> str:
    return next(filter(None, (_date(text) for name in XMP_DATES for text in xmp.get(name, ()))), "")


def _date(text: str, offset: str = "") -> str:
    """As ISO 8601; empty where it is none, such as the zeros of a camera whose clock was not set."""
    found = DATE.match(text) or DAY.match(text)
    if not found:
        return ""
    *numbers, own = found.groups() if found.re is DATE else (*found.groups(), None)
    try:
        when = datetime(*(int(number or 0) for number in numbers)).isoformat()  # type: ignore[arg-type]
        zone = offset or ("+00:00" if own == "Z" else own or "")
        return datetime.fromisoformat(when + zone).isoformat()
    except ValueError:
        return ""


def _of_iptc(image: ImageFile.ImageFile) -> list[bytes]:
    """The keywords of IPTC-IIM, where they were written before there was XMP."""
    if "photoshop" not in image.info and image.format != "TIFF":
        return []
    found = (IptcImagePlugin.getiptcinfo(image) or {}).get(IPTC_KEYWORDS, [])
    return found if isinstance(found, list) else [found]


def _keywords(xmp: Properties, iptc: Sequence[bytes], exif: object) -> tuple[str, ...]:
    """Each once, in the order in which they are found."""
    windows = exif.decode("utf-16-le", "replace").split(";") if isinstance(exif, bytes) else []
    texts = [*xmp.get(XMP_KEYWORDS, ()), *map(_decoded, iptc), *windows]
    return tuple(list(dict.fromkeys(filter(None, map(_text, texts))))[:MOST_KEYWORDS])


def _decoded(text: bytes) -> str:
    """Whatever a file says of its letters, those that are no UTF-8 are Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _place(gps: Mapping[int, Any]) -> Place | None:
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S")
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W")
    return _sound_place(latitude, longitude)


def _degrees(parts: object, side: object, negative: str) -> float:
    """From degrees, minutes and seconds; not a number where these are none."""
    try:
        degrees, minutes, seconds = (float(part) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return math.nan
    value: float = degrees + minutes / 60 + seconds / 3600
    return -value if _text(side).upper().startswith(negative) else value


def _sound_place(latitude: float, longitude: float) -> Place | None:
    """To a tenth of a metre. Cameras without a fix write zeros, which is in the sea and nobody's picture."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
        return None
    return round(latitude, 6), round(longitude, 6)


def _xmp_place(xmp: Properties) -> Place | None:
    """``48,12.5N``, or with seconds ``48,12,30N``."""
    parts = [re.fullmatch(r"(\d+),(\d+(?:\.\d+)?)(?:,(\d+))?([NSEW])", _first(xmp, f"{EXIF}GPS{axis}itude"))
             for axis in ("Lat", "Long")]  # fmt: skip
    if None in parts:
        return None
    latitude, longitude = (
        (int(part[1]) + float(part[2]) / 60 + int(part[3] or 0) / 3600) * (-1 if part[4] in "SW" else 1)
        for part in parts
        if part
    )
    return _sound_place(latitude, longitude)


def _first(xmp: Properties, *names: str) -> str:
    return next((text for name in names for one in xmp.get(name, ()) if (text := _text(one))), "")
