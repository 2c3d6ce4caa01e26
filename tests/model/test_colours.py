"""Colours as a person sees them: profiles while embedding, the ground under transparent pictures, XMP's orientation."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from model.encoders import encoder_spec
from model.pictures import open_framed, open_picture
from model.pictures.colours import is_profiled
from tests.model.photos import make_photo, pixels, saved

FRAMING = encoder_spec("efficientnet-lite0").framing


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def linear_profile() -> bytes:
    """sRGB's primaries without its curve: what it shows as middle grey is stored as 55, not 128."""
    profile = bytearray(srgb())
    at = profile.index(b"para", 128)
    profile[at : at + 16] = b"para" + bytes(4) + b"\0\0\0\0" + (1 << 16).to_bytes(4)
    return bytes(profile)


def grey_profile() -> bytes:
    """A grey scale whose values are shares of light (ICC.1: a grey profile of the curve of exponent 1)."""
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    text = b"desc" + bytes(4) + struct.pack(">I", 7) + b"linear\0" + bytes(78)
    tags, body, at = b"", b"", 128 + 4 + 3 * 12
    for name, content in ((b"desc", text), (b"wtpt", white), (b"kTRC", curve)):
        content += bytes(-len(content) % 4)
        tags += name + struct.pack(">II", at + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 3) + tags + body


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_profile_is_applied_while_embedding(file_format: str) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {"quality": 95} if file_format == "JPEG" else {}
    image = Image.new("RGB", (300, 300), (55, 55, 55))
    framed = open_framed(saved(image, file_format, icc_profile=linear_profile(), **options), FRAMING)
    assert np.abs(framed.pixels.astype(int) - 128).max() <= 3
    assert np.abs(pixels(open_picture(saved(image, file_format, icc_profile=linear_profile()))) - 128).max() <= 3


def test_a_grey_profile_is_applied_too() -> None:
    image = Image.new("L", (300, 300), 55)
    framed = open_framed(saved(image, "PNG", icc_profile=grey_profile()), FRAMING)
    assert np.abs(framed.pixels.astype(int) - 128).max() <= 3


def test_srgb_by_any_name_and_no_profile_leave_the_pixels_alone() -> None:
    plain = open_framed(saved(make_photo(), "PNG"), FRAMING).pixels
    assert np.array_equal(open_framed(saved(make_photo(), "PNG", icc_profile=srgb()), FRAMING).pixels, plain)
    image = make_photo()
    image.info["icc_profile"] = srgb().replace(b"sRGB", b"name")
    assert not is_profiled(image)


def test_libvips_sees_the_same_colours() -> None:
    vips = pytest.importorskip("pyvips", reason="libvips, an independent decoder, is not installed")
    data = saved(make_photo(), "PNG", icc_profile=linear_profile())
    other = vips.Image.new_from_buffer(data, "").icc_transform("srgb").numpy()
    assert np.abs(pixels(open_picture(data)) - other).mean() < 2
    cmyk = vips.Image.new_from_array(np.asarray(make_photo())).icc_export(output_profile="cmyk")
    data = cmyk.jpegsave_buffer(Q=95)
    other = vips.Image.new_from_buffer(data, "").icc_transform("srgb").numpy()
    assert np.abs(pixels(open_picture(data)) - other).mean() < 10  # libvips compensates for the black point
    assert np.abs(pixels(open_picture(data)) - pixels(make_photo())).mean() < 25  # what ink can show of it


def drawing(colour: object, draw: Callable[[ImageDraw.ImageDraw, object], None]) -> Image.Image:
    image = Image.new("RGBA", (300, 300), (255, 255, 255, 0))
    draw(ImageDraw.Draw(image), colour)
    return image


def circle(pen: ImageDraw.ImageDraw, colour: object) -> None:
    pen.ellipse((60, 60, 240, 240), outline=colour, width=8)


@pytest.mark.parametrize(
    ("colour", "ground"),
    [("white", 0), ("#ffffe0", 0), ("#f0f0f0", 0), ("black", 255), ("red", 255), ("#3366cc", 255), ("#808080", 255)],
)
def test_the_ground_is_the_one_on_which_the_drawing_is_seen(colour: str, ground: int) -> None:
    opened = open_picture(saved(drawing(colour, circle), "PNG"))
    assert opened.getpixel((5, 5)) == (ground,) * 3
    assert opened.getpixel((150, 64)) != (ground,) * 3


def test_white_drawings_are_not_copies_of_a_blank_page() -> None:
    for kind in ("PNG", "WEBP"):
        opened = pixels(open_picture(saved(drawing("white", circle), kind, lossless=True)))
        assert opened.std() > 30


def test_a_white_page_with_round_corners_stays_on_white() -> None:
    page = drawing("white", lambda pen, colour: pen.rounded_rectangle((0, 0, 299, 299), 20, fill=colour))
    assert open_picture(saved(page, "PNG")).getpixel((0, 0)) == (255, 255, 255)


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "PNG", "AVIF"])
def test_orientation_in_xmp_alone_turns_nothing(file_format: str) -> None:
    if file_format == "PNG":
        from PIL.PngImagePlugin import PngInfo

        notes = PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", XMP.decode())
        data = saved(make_photo(), "PNG", pnginfo=notes)
    else:
        data = saved(make_photo(), file_format, xmp=XMP)
    assert Image.open(io.BytesIO(data)).getexif().get(0x0112) == 6  # which Pillow would follow
    assert open_picture(data).size == (320, 240)


def test_the_exif_tag_counts_where_xmp_says_another() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    data = saved(make_photo(), "JPEG", xmp=XMP, exif=exif)
    opened = open_picture(data)
    assert opened.size == (240, 320)
    assert np.abs(pixels(opened) - pixels(make_photo().transpose(Image.Transpose.ROTATE_90))).mean() < 4
