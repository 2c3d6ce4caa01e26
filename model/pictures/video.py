"""The frame that stands for a video, and what its header says of it, through FFmpeg (PyAV, extra ``video``).

It must not know other kinds of files.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any

from PIL import Image, ImageStat

from model.errors import PictureError, PictureNoMemory, PictureTooSlow

PLACES = (0.1, 0.3, 0.5, 0.0)
"""Parts of a video's length at whose nearest key frame it is looked, in this order, until one shows something."""

LOW_CONTRAST = 10.0
"""Standard deviation of a frame's grey values, of 255, up to which it counts as blank; photos have 40 to 80."""

OLDEST = 1990
"""A year before says that a clock was not set."""

APPLE = "com.apple.quicktime."
ISO_6709 = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)")


def frame_of(file: IO[bytes], deadline: float) -> bytes:
    """An image file, upright: the first key frame at one of `PLACES` that is not blank, else the last one tried.

    Args:
        file: of which no more is read than that frame needs. deadline: by `time.monotonic`.

    Raises:
        PictureTooSlow: the deadline is over. PictureNoMemory, PictureError: no picture can be decoded.
    """
    import av

    try:
        with av.open(file) as container:
            if not container.streams.video:
                raise PictureError("a video file without pictures")
            return _written(_chosen(container, deadline))
    except MemoryError:  # FFmpeg's own is one, too
        raise PictureNoMemory("not enough memory to decode it") from None
    except av.FFmpegError as error:
        raise PictureError(f"broken video: {error.strerror or error}") from error


def video_metadata(file: IO[bytes]) -> Mapping[str, Any]:
    """``taken`` (ISO 8601), ``camera``, ``place``: those that a video's header says; none of a broken one."""
    import av

    try:
        with av.open(file) as container:
            said = {**container.metadata}
    except (av.FFmpegError, OSError, ValueError):
        return {}
    make, model = said.get(f"{APPLE}make", ""), said.get(f"{APPLE}model", "")
    found = {
        "taken": _taken(said.get(f"{APPLE}creationdate") or said.get("creation_time", "")),
        "camera": model if model.startswith(make) else f"{make} {model}".strip(),
        "place": _place(said.get(f"{APPLE}location.ISO6709") or said.get("location", "")),
    }
    return {name: value for name, value in found.items() if value}


def _taken(said: str) -> str:
    """With an offset as it stands; UTC, as most cameras write it, in this machine's time zone."""
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return ""
    if moment.year < OLDEST:
        return ""
    return (moment.astimezone() if moment.tzinfo is UTC else moment).isoformat(timespec="seconds")


def _place(said: str) -> tuple[float, float] | None:
    found = ISO_6709.match(said)
    if not found:
        return None
    latitude, longitude = float(found[1]), float(found[2])
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude or longitude) else None


def _chosen(container: Any, deadline: float) -> Image.Image:
    chosen: Image.Image | None = None
    for frame in _frames(container):
        if time.monotonic() > deadline:
            raise PictureTooSlow("not decoded in time")
        chosen = _upright(frame, container.streams.video[0])
        if ImageStat.Stat(chosen.convert("L").reduce(max(1, min(chosen.size) // 64))).stddev[0] > LOW_CONTRAST:
            break
    if chosen is None:
        raise PictureError("broken video: no frame of it can be decoded")
    return chosen


def _frames(container: Any) -> Iterator[Any]:
    import av

    stream = container.streams.video[0]
    stream.codec_context.skip_frame = "NONKEY"
    length = container.duration or 0
    for place in PLACES if length else PLACES[-1:]:
        try:
            container.seek(int(place * length))
            yield next(container.decode(stream))
        except MemoryError:
            raise
        except (av.FFmpegError, StopIteration):  # a file cut short has its beginning all the same
            continue


def _upright(frame: Any, stream: Any) -> Image.Image:
    """In square pixels, turned as its header says."""
    image: Image.Image = frame.to_image()
    ratio = stream.sample_aspect_ratio
    if ratio and ratio != 1:
        image = image.resize((max(1, round(image.width * ratio)), image.height), Image.Resampling.BICUBIC)
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def _written(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, "PPM")
    return file.getvalue()
