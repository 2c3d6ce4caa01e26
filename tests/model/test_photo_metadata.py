"""When, where and by which camera a picture was taken, as its header says it; literal values, written by Pillow."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from model.pictures import PhotoMetadata, heic_available, read_photo_metadata, wall_seconds

NOON_NS = 1_562_155_200_000_000_000
"""2019-07-03 12:00:00 UTC."""

Fields = dict[int, object]


@pytest.fixture(autouse=True)
def in_vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def exif(own: Fields | None = None, camera: Fields | None = None, gps: Fields | None = None) -> Image.Exif:
    made = Image.Exif()
    made.update(own or {})
    for ifd, fields in ((ExifTags.IFD.Exif, camera), (ExifTags.IFD.GPSInfo, gps)):
        if fields:
            made.get_ifd(ifd).update(fields)
    return made


def picture(format: str = "JPEG", **options: object) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(written, format, **options)
    return written.getvalue()


def read(data: bytes) -> PhotoMetadata:
    return read_photo_metadata(data, NOON_NS)


def d90() -> Image.Exif:
    """A new one each time: some writers take the orientation out of it."""
    return exif(
        {ExifTags.Base.Make: "NIKON CORPORATION", ExifTags.Base.Model: "NIKON D90\0", ExifTags.Base.Orientation: 6},
        {
            ExifTags.Base.DateTimeOriginal: "2012:08:15 14:22:05",
            ExifTags.Base.OffsetTimeOriginal: "+02:00",
            ExifTags.Base.LensModel: "18.0-105.0 mm f/3.5-5.6",
        },
        {
            ExifTags.GPS.GPSLatitudeRef: "S",
            ExifTags.GPS.GPSLatitude: (33.0, 51.0, 24.12),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: (151.0, 12.0, 54.36),
        },
    )


BY_D90 = PhotoMetadata(
    taken="2012-08-15T14:22:05+02:00",
    taken_from="exif",
    camera="NIKON D90",
    lens="18.0-105.0 mm f/3.5-5.6",
    place=(-33.8567, 151.2151),
    orientation=6,
)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_every_container_says_it(format: str, tmp_path: Path) -> None:
    data = picture(format, exif=d90().tobytes())
    assert read(data) == BY_D90
    (tmp_path / "a").write_bytes(data)
    assert read_photo_metadata(tmp_path / "a", NOON_NS) == BY_D90


def test_heic_says_it_and_how_it_was_turned() -> None:
    if not heic_available():
        pytest.skip("no HEIC here")
    assert read(picture("HEIF", exif=d90().tobytes())) == BY_D90


def test_without_a_date_the_file_has_one() -> None:
    assert read(picture()) == PhotoMetadata("2019-07-03T14:00:00+02:00", "file")
    assert read(b"rubbish") == PhotoMetadata("2019-07-03T14:00:00+02:00", "file")
    assert read_photo_metadata(picture(), 10**30).taken == ""


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2012:13:40 25:00:00", "", "yesterday"])
def test_a_clock_that_was_not_set_says_nothing(date: str) -> None:
    unset = exif(camera={ExifTags.Base.DateTimeOriginal: date})
    assert read(picture(exif=unset)).taken_from == "file"


def test_an_offset_that_is_none_is_passed_over() -> None:
    camera = {ExifTags.Base.DateTimeOriginal: "2012:08:15 14:22:05", ExifTags.Base.OffsetTimeOriginal: "   :  "}
    assert read(picture(exif=exif(camera=camera))).taken == "2012-08-15T14:22:05"


def packet(attributes: str, elements: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
    <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
     xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
     xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmlns:dc="http://purl.org/dc/elements/1.1/" {attributes}>
    {elements}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def in_png(xmp: bytes) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return picture("PNG", pnginfo=info)


@pytest.mark.parametrize("write", [lambda xmp: picture(xmp=xmp), lambda xmp: picture("WEBP", xmp=xmp), in_png])
def test_xmp_says_what_exif_does_not(write: Callable[[bytes], bytes]) -> None:
    said = packet(
        'photoshop:DateCreated="2001-02-03T04:05:06.78Z" tiff:Make="Canon" tiff:Model="Canon EOS D30" '
        'tiff:Orientation="6" exif:GPSLatitude="48,12.5N" exif:GPSLongitude="16,22,12W"',
        "<aux:Lens>EF28-135mm</aux:Lens><dc:subject><rdf:Bag><rdf:li>x</rdf:li></rdf:Bag></dc:subject>",
    )
    place = (48.208333, -16.37)
    expected = PhotoMetadata("2001-02-03T04:05:06+00:00", "xmp", "Canon EOS D30", "EF28-135mm", place, keywords=("x",))
    assert read(write(said)) == expected, "an orientation in XMP counts as little as it does for the pixels"


def iptc(*keywords: bytes) -> bytes:
    """A JPEG with keywords as Photoshop wrote them (IPTC-IIM 2:25)."""
    records = b"".join(b"\x1c\x02\x19" + len(word).to_bytes(2, "big") + word for word in keywords)
    block = b"8BIM\x04\x04\0\0" + len(records).to_bytes(4, "big") + records + b"\0" * (len(records) % 2)
    segment = b"Photoshop 3.0\0" + block
    data = picture()
    return data[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]


def test_keywords_are_read_wherever_they_were_written() -> None:
    words = "".join(f"<rdf:li>{word}</rdf:li>" for word in ("Käse &amp; Wein", "cat", " cat "))
    in_xmp = picture(xmp=packet("", f"<dc:subject><rdf:Bag>{words}</rdf:Bag></dc:subject>"))
    assert read(in_xmp).keywords == ("Käse & Wein", "cat")
    assert read(iptc("Käse".encode(), "Café".encode("latin-1"), b"dog")).keywords == ("Käse", "Café", "dog")
    windows = exif({ExifTags.Base.XPKeywords: "Schnuffi;garden\0".encode("utf-16-le")})
    assert read(picture(exif=windows)).keywords == ("Schnuffi", "garden")
    many = "".join(f"<rdf:li>{number}</rdf:li>" for number in range(99))
    assert len(read(picture(xmp=packet("", f"<dc:subject><rdf:Bag>{many}</rdf:Bag></dc:subject>"))).keywords) == 50


def test_exif_outweighs_xmp_and_a_day_without_a_time_is_a_date() -> None:
    said = packet('exif:DateTimeOriginal="1999-01-02" tiff:Model="scanner"')
    assert read(picture(exif=d90(), xmp=said)) == BY_D90
    assert read(picture(xmp=said)).taken == "1999-01-02T00:00:00"


@pytest.mark.parametrize(
    "broken",
    [
        b"<x:xmpmeta",
        b"\xff\xfe\0",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        packet('photoshop:DateCreated="soon" exif:GPSLatitude="north"'),
        packet('photoshop:DateCreated="2001-02-03"' + " " * (1 << 20)),
    ],
)
def test_xmp_that_is_none_says_nothing(broken: bytes) -> None:
    assert read(in_png(broken) if broken.isascii() else picture("WEBP", xmp=broken)).taken_from == "file"


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), ((91.0, 0.0, 0.0), (5.0, 0.0, 0.0)), ((5.0,), (5.0, 0.0, 0.0))],
)
def test_a_place_that_is_none_is_passed_over(latitude: tuple[float, ...], longitude: tuple[float, ...]) -> None:
    gps = {ExifTags.GPS.GPSLatitude: latitude, ExifTags.GPS.GPSLongitude: longitude}
    assert read(picture(exif=exif(gps=gps))).place is None


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Apple", "iPhone 12 mini", "Apple iPhone 12 mini"),
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("SONY   ", "", "SONY"),
        ("", "x" * 200, "x" * 100),
        ("Caf\n\x1b", "----", "Caf"),
    ],
)
def test_a_camera_has_one_name(make: str, model: str, name: str) -> None:
    own = {ExifTags.Base.Make: make, ExifTags.Base.Model: model}
    assert read(picture(exif=exif(own))).camera == name


def test_days_are_compared_as_they_were_where_they_were_spent() -> None:
    assert wall_seconds("1970-01-02T00:00:01") == 86_401
    assert wall_seconds("2019-07-01T00:30:00+09:00") == wall_seconds("2019-07-01T00:30:00")
    assert wall_seconds("1926-05-04T00:00:00") < 0
