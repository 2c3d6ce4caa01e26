"""Thumbnails: small, upright, in sRGB, and silent about where they come from."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from model.errors import PictureError, PictureTooLarge
from model.pictures import open_picture, thumbnail
from tests.model.photos import make_photo, saved, turned


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return image


def markers(jpeg: bytes) -> set[int]:
    """The segments before a JPEG's samples, by the second byte of their markers (ITU T.81, table B.1)."""
    found, at = set(), 2
    while jpeg[at + 1] != 0xDA:
        found.add(jpeg[at + 1])
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return found


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation: int) -> None:
    small = opened(thumbnail(turned(orientation, "JPEG", quality=95), longest=64))
    assert small.size == (64, 48)
    wanted = np.asarray(make_photo().resize((64, 48)), np.int16)
    seen = np.asarray(small, np.int16)
    assert np.abs(seen - wanted).mean() < 8  # what JPEG blurs at edges
    assert min(np.abs(other - wanted).mean() for other in (seen[::-1], seen[:, ::-1], seen[::-1, ::-1])) > 20


def test_nothing_is_told_about_the_original() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    data = saved(
        make_photo(), "JPEG", exif=exif, comment=b"a secret", xmp=b"<x:xmpmeta/>", dpi=(300, 300), icc_profile=b"odd"
    )
    assert {0xE1, 0xE2, 0xFE} <= markers(data)
    small = thumbnail(data)
    assert markers(small) <= {0xE0, 0xDB, 0xC0, 0xC4}  # JFIF, quantization, frame, Huffman
    for secret in (b"camera", b"secret", b"xmp", b"odd"):
        assert secret not in small


@pytest.mark.parametrize(
    ("size", "small"),
    [((4000, 3000), (256, 192)), ((300, 4000), (19, 256)), ((10_000, 10), (256, 1)), ((40, 30), (40, 30))],
)
def test_the_longer_side_is_bounded_and_nothing_is_enlarged(size: tuple[int, int], small: tuple[int, int]) -> None:
    for file_format in ("JPEG", "PNG"):
        assert opened(thumbnail(saved(Image.new("RGB", size, "olive"), file_format))).size == small


def test_a_large_jpeg_is_decoded_small_and_looks_the_same() -> None:
    data = saved(make_photo(3200, 2400), "JPEG", quality=95)
    assert open_picture(data, shown_at=256).size == (800, 600)
    assert open_picture(data).size == (3200, 2400)
    quick, whole = (np.asarray(opened(thumbnail(made)), np.int16) for made in (data, open_picture(data)))
    assert np.abs(quick - whole).mean() < 2


def test_a_picture_given_is_left_as_it_is() -> None:
    photo = make_photo()
    photo.info["comment"] = b"mine"
    before = photo.tobytes()
    assert opened(thumbnail(photo, longest=32)).size == (32, 24)
    assert b"mine" not in thumbnail(photo)
    assert photo.tobytes() == before
    assert photo.info == {"comment": b"mine"}


def linear_profile() -> bytes:
    """sRGB's primaries without its curve: what it shows as middle grey is stored as 55, not 128."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = profile.index(b"para", 128)  # the curve all three channels share: type 0 is a bare power
    profile[at : at + 16] = b"para" + bytes(4) + b"\0\0\0\0" + (1 << 16).to_bytes(4)
    return bytes(profile)


@pytest.mark.parametrize("alpha", [False, True])
def test_colours_are_brought_to_srgb(alpha: bool) -> None:
    image = Image.new("RGBA" if alpha else "RGB", (50, 50), (55, 55, 55))
    pixel = opened(thumbnail(saved(image, "PNG", icc_profile=linear_profile()))).getpixel((25, 25))
    assert np.abs(np.subtract(pixel, 128)).max() <= 3
    plain = opened(thumbnail(saved(image, "PNG"))).getpixel((25, 25))
    assert np.abs(np.subtract(plain, 55)).max() <= 1


@pytest.mark.parametrize("profile", [b"rubbish", linear_profile()[:200]], ids=["rubbish", "cut off"])
def test_a_broken_profile_spoils_nothing(profile: bytes) -> None:
    data = saved(make_photo(), "PNG", icc_profile=profile)
    assert thumbnail(data) == thumbnail(make_photo())


def test_a_profile_of_other_channels_is_passed_over() -> None:
    data = saved(make_photo().convert("CMYK"), "JPEG", icc_profile=linear_profile().replace(b"RGB ", b"CMYK", 1))
    assert opened(thumbnail(data)).size == (256, 192)


def test_what_is_no_picture_and_what_is_too_large_is_refused() -> None:
    with pytest.raises(PictureError, match="not a picture"):
        thumbnail(b"Dear diary")
    with pytest.raises(PictureTooLarge):
        thumbnail(saved(Image.new("RGB", (1100, 1000)), "JPEG"), max_megapixels=1)
    assert thumbnail(saved(Image.new("RGB", (1100, 1000)), "JPEG"), max_megapixels=0)
    cut = saved(make_photo(3200, 2400), "JPEG", quality=95)
    with pytest.raises(PictureError, match="broken"):
        thumbnail(cut[: len(cut) // 2])
