"""The same photograph in what cameras, scanners, browsers and editors write beside the everyday formats."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.model import bitmaps, profiles, tiffs
from tests.model.kinds import Kind, chunk, photograph, png
from tests.model.photos import make_photo, saved, turned
from tests.model.tiffs import Form, tiff_file

with suppress(ImportError):
    importlib.import_module("pillow_heif").register_heif_opener()


def colour() -> NDArray[np.uint8]:
    return np.asarray(photograph())


def grey() -> NDArray[np.uint8]:
    return np.asarray(photograph().convert("L"))


def as_rgb(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(values[..., None], 3, axis=2)


def levels(bits: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey of so many bits a pixel, and the 8-bit grey that it is."""
    top = (1 << bits) - 1
    values = np.rint(grey() / 255 * top).astype(np.uint8)
    return values, np.rint(values * (255 / top)).astype(np.uint8)


def layered() -> tuple[Image.Image, NDArray[np.uint8]]:
    """A photograph that is half transparent at the left and clear at the right, and how it looks on white."""
    opacity = np.full((240, 320), 255, np.uint8)
    opacity[:, :100], opacity[:, 280:] = 128, 0
    layer = photograph().convert("RGBA")
    layer.putalpha(Image.fromarray(opacity))
    share = opacity[..., None] / 255
    return layer, np.rint(colour() * share + 255 * (1 - share)).astype(np.uint8)


def jpegs() -> Iterator[Kind]:
    photo, seen = photograph(), colour()
    yield Kind("JPEG grey", saved(photo.convert("L"), "JPEG", quality=95), as_rgb(grey()), 2)
    yield Kind("JPEG subsampled 4:2:0", saved(photo, "JPEG", quality=95, subsampling=2), seen, 3)
    yield Kind("JPEG of RGB", saved(photo, "JPEG", quality=95, keep_rgb=True), seen, 2)
    yield Kind("JPEG CMYK without a profile", saved(photo.convert("CMYK"), "JPEG", quality=95), seen, 3)
    inks = profiles.stored_as_inks(seen)
    data = saved(inks, "JPEG", quality=95, icc_profile=profiles.cmyk_profile())
    yield Kind("JPEG CMYK with its profile", data, seen, 4)
    for orientation in range(2, 9):
        yield Kind(
            f"JPEG orientation {orientation}", turned(orientation, "JPEG", quality=95), np.asarray(make_photo()), 3
        )
    yield from profiled()


def profiled() -> Iterator[Kind]:
    seen = colour()
    for name, tolerance in (("sRGB", 3), ("Adobe RGB", 2), ("Display P3", 3), ("ProPhoto RGB", 3)):
        stored, profile = Image.fromarray(profiles.stored_in(name, seen)), profiles.rgb_profile(name)
        called = "linear" if name == "sRGB" else name
        for file_format, options in (
            ("JPEG", {"quality": 97}),
            ("PNG", {}),
            ("WEBP", {"lossless": True}),
            ("TIFF", {}),
        ):
            yield Kind(
                f"{file_format} {called}", saved(stored, file_format, icc_profile=profile, **options), seen, tolerance
            )
    swapped = Image.fromarray(profiles.stored_in("Adobe RGB", seen)[..., ::-1])
    profile = profiles.rgb_profile("Adobe RGB", (2, 1, 0))
    yield Kind("JPEG whose profile names blue first", saved(swapped, "JPEG", quality=97, icc_profile=profile), seen, 3)
    stored = Image.fromarray(profiles.stored_by_table(seen))
    data = saved(stored, "JPEG", quality=97, keep_rgb=True, icc_profile=profiles.table_profile())
    yield Kind("JPEG whose profile is a table, as XYB", data, seen, 4)
    yield Kind(
        "JPEG grey, linear",
        saved(linear_grey(), "JPEG", quality=97, icc_profile=profiles.grey_profile()),
        as_rgb(grey()),
        3,
    )
    if "AVIF" in Image.SAVE:
        stored = Image.fromarray(profiles.stored_in("Adobe RGB", seen))
        data = saved(stored, "AVIF", quality=97, icc_profile=profiles.rgb_profile("Adobe RGB"))
        yield Kind("AVIF Adobe RGB", data, seen, 4)
    deep = np.rint(profiles.stored_in("Adobe RGB", seen) * 257.0).astype(np.uint16)
    form = Form(photometric=tiffs.RGB, profile=profiles.rgb_profile("Adobe RGB"))
    yield Kind("TIFF RGB 16 bits, Adobe RGB", tiff_file(deep, form=form), seen, 2)
    inks_form = Form(photometric=tiffs.CMYK, profile=profiles.cmyk_profile())
    yield Kind(
        "TIFF CMYK with its profile", tiff_file(np.asarray(profiles.stored_as_inks(seen)), form=inks_form), seen, 4
    )


def linear_grey() -> Image.Image:
    shares = grey() / 255
    light = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return Image.fromarray(np.rint(255 * light).astype(np.uint8))


def pngs() -> Iterator[Kind]:
    for bits in (1, 2, 4, 8):
        values, seen = levels(bits)
        packed = packed_rows(values, bits)
        yield Kind(f"PNG grey {bits} bits", png(bits, 0, packed), as_rgb(seen))
        few = photograph().quantize(1 << bits)
        table = np.array(few.getpalette(), np.uint8)
        indices = np.asarray(few)
        extra = chunk(b"PLTE", table.tobytes())
        shown = table.reshape(-1, 3)[indices]
        yield Kind(f"PNG palette {bits} bits", png(bits, 3, packed_rows(indices, bits), extra), shown)
        clear = chunk(b"tRNS", bytes([0] + [255] * (len(table) // 3 - 1)))
        shown = np.where((indices == 0)[..., None], 255, shown).astype(np.uint8)
        yield Kind(
            f"PNG palette {bits} bits, first transparent",
            png(bits, 3, packed_rows(indices, bits), extra + clear),
            shown,
        )
        if bits == 1:
            continue  # what is left is of one value, and laid on the other
        value = int(values[200, 20])
        key = chunk(b"tRNS", struct.pack(">H", value))
        shown = as_rgb(np.where(values == value, 255, seen).astype(np.uint8))
        yield Kind(f"PNG grey {bits} bits, a value transparent", png(bits, 0, packed, key), shown)
    layer, seen = layered()
    yield Kind("PNG RGBA", saved(layer, "PNG"), seen)
    yield Kind("PNG RGBA 16 bits", png(16, 6, (np.asarray(layer).astype(">u2") * 257).astype(">u2")), seen)
    share = np.asarray(layer.getchannel("A")) / 255
    laid = as_rgb(np.rint(grey() * share + 255 * (1 - share)).astype(np.uint8))
    pair = np.stack([grey(), np.asarray(layer.getchannel("A"))], -1)
    yield Kind("PNG grey and opacity", png(8, 4, pair), laid)
    yield Kind("PNG grey and opacity 16 bits", png(16, 4, (pair.astype(">u2") * 257).astype(">u2")), laid)
    key = chunk(b"tRNS", struct.pack(">HHH", *map(int, colour()[200, 20])))
    is_clear = (colour() == colour()[200, 20]).all(-1, keepdims=True)
    yield Kind(
        "PNG RGB, a colour transparent", png(8, 2, colour(), key), np.where(is_clear, 255, colour()).astype(np.uint8)
    )
    yield Kind("PNG interlaced", interlaced(colour()), colour())


def packed_rows(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        return values
    places = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    return np.packbits((values[..., None] >> places & 1).reshape(len(values), -1), axis=1)


def interlaced(colours: NDArray[np.uint8]) -> bytes:
    """Adam7."""
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in starts for row in colours[y::dy, x::dx])
    head = struct.pack(">IIBBBBB", colours.shape[1], colours.shape[0], 8, 2, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff_kinds() -> Iterator[Kind]:
    seen, shades = colour(), as_rgb(grey())
    for bits in (1, 2, 4, 6, 10, 12, 14, 24):
        values = np.rint(grey() / 255 * ((1 << bits) - 1)).astype(np.uint32)
        shown = as_rgb(np.rint(values / ((1 << bits) - 1) * 255).astype(np.uint8))
        yield Kind(f"TIFF grey {bits} bits, packed", tiff_file(values, form=Form(bits=bits)), shown, 1.5)
    for bits in (4, 10, 12, 14):
        values = np.rint(seen / 255 * ((1 << bits) - 1)).astype(np.uint32)
        shown = np.rint(values / ((1 << bits) - 1) * 255).astype(np.uint8)
        yield Kind(
            f"TIFF RGB {bits} bits, packed", tiff_file(values, form=Form(bits=bits, photometric=tiffs.RGB)), shown, 1.5
        )
    for bits in (1, 4, 8):
        values, shown = levels(bits)
        form = Form(bits=bits, photometric=tiffs.WHITE_IS_ZERO)
        yield Kind(f"TIFF {bits} bits, white is 0", tiff_file((1 << bits) - 1 - values, form=form), as_rgb(shown))
        table = np.array(photograph().quantize(1 << bits).getpalette(), np.uint8).reshape(-1, 3)
        indices = np.asarray(photograph().quantize(1 << bits))
        full = np.zeros((1 << bits, 3), np.int64)
        full[: len(table)] = table
        form = Form(bits=bits, photometric=tiffs.PALETTE, tags=((320, tuple((full.T.reshape(-1) * 257).tolist())),))
        yield Kind(f"TIFF palette {bits} bits", tiff_file(indices, form=form), table[indices])
    wide = seen.astype(np.uint16) * 257
    for name, samples in (("8", seen), ("16", wide)):
        for packed, called in ((tiffs.NONE, ""), (tiffs.LZW, ", LZW"), (tiffs.DEFLATE, ", Deflate")):
            for differences in (False, True):
                if differences and packed == tiffs.NONE:
                    continue
                words = called + (", differences" if differences else "")
                form = Form(photometric=tiffs.RGB, compression=packed, strip=50, differences=differences)
                yield Kind(f"TIFF RGB {name} bits{words}", tiff_file(samples, form=form), seen)
                form = Form(photometric=tiffs.RGB, compression=packed, tile=64, planar=True, differences=differences)
                yield Kind(f"TIFF RGB {name} bits{words}, tiled planes", tiff_file(samples, form=form), seen)
                form = Form(photometric=tiffs.RGB, compression=packed, tile=64, differences=differences)
                yield Kind(f"TIFF RGB {name} bits{words}, tiles", tiff_file(samples, form=form), seen)
    for order in "<>":
        form = Form(photometric=tiffs.RGB, order=order, big=True, tile=64)
        yield Kind(f"BigTIFF {order} tiles of 16 bits", tiff_file(wide, form=form), seen)
        form = Form(kind=tiffs.FLOAT, order=order, big=True)
        yield Kind(f"BigTIFF {order} float", tiff_file((grey() / 255).astype(np.float32), form=form), shades)
    for packed in (tiffs.LZW, tiffs.DEFLATE):
        form = Form(photometric=tiffs.RGB, kind=tiffs.FLOAT, compression=packed, strip=40)
        yield Kind(f"TIFF RGB float, method {packed}", tiff_file((seen / 255).astype(np.float32), form=form), seen)
        form = Form(kind=tiffs.FLOAT, compression=packed, strip=40)
        yield Kind(f"TIFF grey float, method {packed}", tiff_file((grey() / 255).astype(np.float32), form=form), shades)
        for dtype, kind in (("u4", tiffs.UNSIGNED), ("i4", tiffs.SIGNED), ("i2", tiffs.SIGNED), ("f8", tiffs.FLOAT)):
            scale = {"u4": 2**32 - 1, "i4": 2**31 - 1, "i2": 32767, "f8": 1}[dtype]
            samples = (grey() / 255 * scale).astype(dtype)
            yield Kind(
                f"TIFF grey {dtype}, method {packed}",
                tiff_file(samples, form=Form(kind=kind, compression=packed)),
                shades,
                1.5,
            )
    for dtype, kind in (("u4", tiffs.UNSIGNED), ("i2", tiffs.SIGNED), ("f2", tiffs.FLOAT), ("f8", tiffs.FLOAT)):
        scale = {"u4": 2**32 - 1, "i2": 32767, "f2": 1, "f8": 1}[dtype]
        for order in "<>":
            form = Form(photometric=tiffs.RGB, kind=kind, order=order)
            yield Kind(f"TIFF RGB {dtype} {order}", tiff_file((seen / 255 * scale).astype(dtype), form=form), seen, 1.5)
    signed = (grey() / 255 * 65535 - 32768).astype(np.int16)
    yield Kind("TIFF grey i2 below 0", tiff_file(signed, form=Form(kind=tiffs.SIGNED)), shades, 1.5)
    yield from tiff_layers()
    yield from tiff_pages()


def tiff_layers() -> Iterator[Kind]:
    layer, seen = layered()
    values, opacity = np.asarray(layer), np.asarray(layer.getchannel("A"))
    share = opacity / 255
    laid = as_rgb(np.rint(grey() * share + 255 * (1 - share)).astype(np.uint8))
    pre = np.rint(values[..., :3] * share[..., None]).astype(np.uint8)
    form = Form(photometric=tiffs.RGB, extra=2)
    yield Kind("TIFF RGBA", tiff_file(values, form=form), seen)
    yield Kind("TIFF RGBA 16 bits", tiff_file(values.astype(np.uint16) * 257, form=form), seen)
    form = Form(photometric=tiffs.RGB, extra=1)
    yield Kind("TIFF RGBa", tiff_file(np.concatenate([pre, values[..., 3:]], -1), form=form), seen, 1.5)
    yield Kind("TIFF RGBX", tiff_file(values, form=Form(photometric=tiffs.RGB, extra=0)), colour())
    pre_grey = np.rint(grey() * share).astype(np.uint8)
    yield Kind("TIFF LA", tiff_file(np.stack([grey(), opacity], -1), form=Form(extra=2)), laid)
    yield Kind("TIFF La", tiff_file(np.stack([pre_grey, opacity], -1), form=Form(extra=1)), laid, 1.5)
    deep = np.stack([grey(), opacity], -1).astype(np.uint16) * 257
    yield Kind("TIFF LA 16 bits", tiff_file(deep, form=Form(extra=2)), laid)
    inks = np.asarray(photograph().convert("CMYK"))
    yield Kind("TIFF CMYK", tiff_file(inks, form=Form(photometric=tiffs.CMYK)), colour(), 2)
    yield Kind(
        "TIFF CMYK 16 bits", tiff_file(inks.astype(np.uint16) * 257, form=Form(photometric=tiffs.CMYK)), colour(), 2
    )


def tiff_pages() -> Iterator[Kind]:
    form = Form(photometric=tiffs.RGB)
    blank = np.full((240, 320, 3), 255, np.uint8)
    yield Kind("TIFF of pages, the first blank", tiff_file(blank, colour(), blank, form=form), colour())
    deep = colour().astype(np.uint16) * 257
    yield Kind(
        "TIFF of pages of 16 bits, the first blank", tiff_file(blank.astype(np.uint16) * 257, deep, form=form), colour()
    )
    planes = Form(photometric=tiffs.RGB, planar=True)
    yield Kind(
        "TIFF of 16-bit planes, first page blank", tiff_file(blank.astype(np.uint16) * 257, deep, form=planes), colour()
    )
    values = (grey() / 255).astype(np.float32)
    floats = tiff_file(np.zeros_like(values), values, form=Form(kind=tiffs.FLOAT))
    yield Kind("TIFF of pages of floats, the first black", floats, as_rgb(grey()))


def bmps() -> Iterator[Kind]:
    seen, size = colour(), (320, 240)
    for bits in (1, 4, 8):
        few = photograph().quantize(1 << bits)
        table = np.array(few.getpalette(), np.uint8).reshape(-1, 3)
        indices = np.asarray(few)
        shown = table[indices]
        yield Kind(
            f"BMP {bits} bits", bitmaps.bmp_file(bitmaps.as_rows(indices, bits), size, bits, colours=table), shown
        )
        if bits > 1:
            runs = bitmaps.run_lengths(indices, bits)
            method = bitmaps.RLE8 if bits == 8 else bitmaps.RLE4
            yield Kind(
                f"BMP {bits} bits, run lengths",
                bitmaps.bmp_file(runs, size, bits, colours=table, compression=method),
                shown,
            )
    five = (seen >> 3).astype(np.uint16)
    shown = np.rint((seen >> 3) * (255 / 31)).astype(np.uint8)
    plain = five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2]
    yield Kind("BMP 16 bits, 555", bitmaps.bmp_file(bitmaps.as_rows(plain), size, 16), shown)
    fields = five[..., 0] << 11 | (seen[..., 1] >> 2).astype(np.uint16) << 5 | five[..., 2]
    data = bitmaps.bmp_file(bitmaps.as_rows(fields), size, 16, masks=(0xF800, 0x7E0, 0x1F), compression=bitmaps.FIELDS)
    yield Kind("BMP 16 bits, 565", data, shown, 2)
    yield Kind(
        "BMP, top row first",
        bitmaps.bmp_file(bitmaps.as_rows(seen[..., ::-1], top_first=True), size, 24, top_first=True),
        seen,
    )
    yield Kind("BMP of OS/2", bitmaps.os2_file(seen), seen)
    four = np.concatenate([seen[..., ::-1], np.zeros_like(seen[..., :1])], -1)
    yield Kind("BMP 32 bits", bitmaps.bmp_file(bitmaps.as_rows(four), size, 32), seen)
    for name, masks in {
        "BGRX": (0xFF0000, 0xFF00, 0xFF), "RGBX": (0xFF, 0xFF00, 0xFF0000), "XRGB": (0xFF00, 0xFF0000, 0xFF000000),
        "10 bits each": (0x3FF00000, 0xFFC00, 0x3FF),
    }.items():  # fmt: skip
        words = np.zeros((240, 320), np.uint32)
        for channel, mask in enumerate(masks):
            low = (mask & -mask).bit_length() - 1
            words |= np.rint(seen[..., channel] / 255 * (mask >> low)).astype(np.uint32) << np.uint32(low)
        data = bitmaps.bmp_file(bitmaps.as_rows(words), size, 32, masks=masks, compression=bitmaps.FIELDS)
        yield Kind(f"BMP bit fields {name}", data, seen)


def animations() -> Iterator[Kind]:
    photo, seen = photograph(), colour()
    for ground in ("black", "white"):
        frames = [Image.new("RGB", photo.size, ground), photo, photo.rotate(180)]
        for name, options, tolerance in (("GIF", {"duration": 90}, 5), ("PNG", {}, 1), ("WEBP", {"lossless": True}, 1)):
            data = saved(frames[0], name, save_all=True, append_images=frames[1:], **options)
            yield Kind(f"{name}, animated, the first frame {ground}", data, seen, tolerance)
    layer, laid = layered()
    yield Kind("WebP lossless with opacity", saved(layer, "WEBP", lossless=True), laid, 1.5)
    yield Kind("WebP lossy with opacity", saved(layer, "WEBP", quality=95), laid, 4)
    clear = photo.quantize(255)
    indices = np.asarray(clear)
    shown = np.where((indices == indices[200, 20])[..., None], 255, np.asarray(clear.convert("RGB"))).astype(np.uint8)
    yield Kind("GIF, a colour transparent", saved(clear, "GIF", transparency=int(indices[200, 20])), shown)
    yield Kind("GIF interlaced", saved(clear, "GIF", interlace=1), np.asarray(clear.convert("RGB")))


def others() -> Iterator[Kind]:
    seen, shades = colour(), as_rgb(grey())
    bits, one = levels(1)
    yield Kind("PBM", b"P4 320 240\n" + np.packbits(1 - bits, axis=1).tobytes(), as_rgb(one))
    yield Kind("PGM of letters", b"P2 320 240 255\n" + " ".join(map(str, grey().reshape(-1))).encode(), shades)
    yield Kind("PPM of letters", b"P3 320 240 255\n" + " ".join(map(str, seen.reshape(-1))).encode(), seen)
    yield Kind("PGM", b"P5 320 240 255\n" + grey().tobytes(), shades)
    yield Kind("PPM with a remark", b"P6 320 240\n# made by hand\n255\n" + seen.tobytes(), seen)
    photo = photograph()
    layer, laid = layered()
    yield Kind("JPEG 2000 grey", saved(photo.convert("L"), "JPEG2000"), shades)
    yield Kind("JPEG 2000 with opacity", saved(layer, "JPEG2000"), laid, 1.5)
    yield Kind("JPEG 2000 of tiles", saved(photo, "JPEG2000", tile_size=(64, 64)), seen)
    yield Kind("JPEG 2000 without boxes", saved(photo, "JPEG2000", no_jp2=True), seen)
    deep = Image.fromarray(grey().astype(np.uint16) * 257)
    yield Kind("JPEG 2000 grey 16 bits", saved(deep, "JPEG2000"), shades)
    for name in ("HEIF", "AVIF"):
        if name in Image.SAVE:
            yield Kind(f"{name} with opacity", saved(layer, name, quality=95), laid, 5)
            yield Kind(f"{name} turned", turned(6, name, quality=95), np.asarray(make_photo()), 4)
            yield Kind(f"{name} grey", saved(photo.convert("L"), name, quality=95), shades, 3)
    yield from deep_heif(seen)


def deep_heif(seen: NDArray[np.uint8]) -> Iterator[Kind]:
    """Of 10 and 12 bits, where pillow-heif is installed."""
    with suppress(ImportError):
        pillow_heif = importlib.import_module("pillow_heif")
        samples = (seen.astype(np.uint16) * 257).astype("<u2")
        for bits in (10, 12):
            pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
            file = io.BytesIO()
            pillow_heif.encode("RGB;16", (320, 240), samples.tobytes(), file, quality=95, chroma=444)
            yield Kind(f"HEIC of {bits} bits", file.getvalue(), seen, 4)
        pillow_heif.options.SAVE_HDR_TO_12_BIT = False


def all_more() -> list[Kind]:
    return [kind for group in (jpegs, pngs, tiff_kinds, bmps, animations, others) for kind in group()]
