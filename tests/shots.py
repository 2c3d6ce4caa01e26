"""Small pictures with headers: who took them, when and where."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import ExifTags, Image

AFTERNOON = 1_562_163_725 * 10**9
"""2019-07-03 14:22:05 UTC."""

SHOTS = {
    "trip/a.jpg": ("2019:06:30 23:59:59", "NIKON D90", (48.2, 16.37)),
    "trip/b.jpg": ("2019:07:01 00:00:00", "NIKON D90", None),
    "home/c.jpg": ("2019:08:14 12:00:00", "iPhone 12", (40.7, -74.0)),
    "home/d.png": None,
}
"""Path to date, camera and place; none for a picture that says nothing."""


def take(root: Path) -> None:
    """Write them, all with the same time of their file."""
    for number, (path, shot) in enumerate(SHOTS.items()):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if shot:
            date, model, place = shot
            exif[ExifTags.Base.Model] = model
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = date
            if place:
                (latitude, longitude), west = place, place[1] < 0
                exif.get_ifd(ExifTags.IFD.GPSInfo).update(
                    {
                        ExifTags.GPS.GPSLatitude: (latitude, 0.0, 0.0),
                        ExifTags.GPS.GPSLongitude: (abs(longitude), 0.0, 0.0),
                        ExifTags.GPS.GPSLongitudeRef: "W" if west else "E",
                    }
                )
        Image.radial_gradient("L").rotate(40 * number).save(root / path, exif=exif)
        os.utime(root / path, ns=(AFTERNOON, AFTERNOON))
