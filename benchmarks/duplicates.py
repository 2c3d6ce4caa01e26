"""How well the same picture is told from another that looks alike, beside the hashes that other tools compare.

    python benchmarks/duplicates.py FOLDER [PICTURES=200]

Of each picture makes ten copies as they come about (a quarter of the size, quality 30, EXIF rotated, grey, mirrored, 5%
cut off, a watermark, brighter, PNG, all of size, cut and quality at once), and what looks alike and is not the same:
bursts, letters, receipts, screens of one program, drawings in white, blank pages. First by pixels alone, pair by pair,
then the command's own search over all of it: vectors propose, pixels decide. pHash is imagededup's (DCT of 32 x 32,
distance at most 10), dHash czkawka's default (gradients of 8 x 8, its "high" similarity, distance at most 5).

Recall: the share of copies in the group of their original. Precision: the share of grouped pairs of one original.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores.embedded import EmbeddedStore
from model.pictures import LeftOut, Looks, is_same, open_picture, scan
from query.asking import find_duplicates

WORDS = "river stone market window yellow paper garden engine winter letter morning account bridge".split()  # noqa: SIM905
Copy = tuple[Callable[[Image.Image], Image.Image], dict[str, object]]


def marked(image: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", image.size)
    font = ImageFont.load_default(max(12, image.width // 10))
    ImageDraw.Draw(layer).text((image.width * 0.2, image.height * 0.75), "PHOTO 2024", (255, 255, 255, 140), font)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def quarter(image: Image.Image) -> Image.Image:
    return image.resize((max(1, image.width // 4), max(1, image.height // 4)), Image.Resampling.LANCZOS)


def cut(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 20, height // 20, width - width // 20, height - height // 20))


def turned(image: Image.Image) -> Image.Image:
    image = image.transpose(Image.Transpose.ROTATE_90)
    image.getexif()[0x0112] = 6
    return image


COPIES: dict[str, Copy] = {
    "a quarter of the size": (quarter, {"quality": 85}),
    "quality 30": (lambda image: image, {"quality": 30}),
    "rotated by EXIF": (turned, {"quality": 90}),
    "grey": (lambda image: image.convert("L").convert("RGB"), {"quality": 90}),
    "mirrored": (ImageOps.mirror, {"quality": 90}),
    "5% cut off": (cut, {"quality": 90}),
    "watermark": (marked, {"quality": 90}),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.25), {"quality": 90}),
    "another format": (lambda image: image, {"format": "WEBP", "quality": 80}),
    "half size, cut, quality 60": (lambda image: ImageOps.scale(cut(image), 0.5), {"quality": 60}),
}  # fmt: skip


def bursts(image: Image.Image, rng: np.random.Generator) -> Iterator[Image.Image]:
    """Against the original, of which the edges are not there, the camera has moved by 3 to 7%, and so has the subject;
    the noise is another."""
    width, height = image.size
    margin_x, margin_y = width // 14, height // 14
    for corner in (0, 1):
        x, y = (
            corner * 2 * margin + (1 - 2 * corner) * int(rng.integers(0, margin // 2 + 1))
            for margin in (margin_x, margin_y)
        )
        taken = image.crop((x, y, x + width - 2 * margin_x, y + height - 2 * margin_y))
        part = taken.crop((taken.width // 3, taken.height // 3, taken.width * 2 // 3, taken.height * 2 // 3))
        part = part.rotate(float(rng.uniform(4, 10)))
        part.putalpha(Image.new("L", part.size, 0).point(lambda _: 255))
        taken.paste(part, (taken.width // 3 + int(rng.integers(5, 15)), taken.height // 3), part)
        noise = rng.normal(0, 4, (taken.height, taken.width, 3))
        yield Image.fromarray((np.asarray(taken, np.float32) + noise).clip(0, 255).astype(np.uint8))


def letter(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (620, 877), "white")
    pen = ImageDraw.Draw(page)
    pen.text((60, 30), "North Street 12, Town", "black", ImageFont.load_default(22))
    for y in range(90, 820, 24):
        pen.text((60, y), " ".join(rng.choice(WORDS, 9)), "black", ImageFont.load_default(16))
    return page


def receipt(rng: np.random.Generator) -> Image.Image:
    paper = Image.new("RGB", (380, 800), (250, 248, 244))
    pen = ImageDraw.Draw(paper)
    pen.text((110, 30), "MARKET", "black", ImageFont.load_default(36))
    for y in range(110, 700, 28):
        pen.text((30, y), str(rng.choice(WORDS)), "black", ImageFont.load_default(18))
        pen.text((290, y), f"{rng.integers(1, 99)}.{rng.integers(10, 99)}", "black", ImageFont.load_default(18))
    return paper


def screen(rng: np.random.Generator, photo: Image.Image) -> Image.Image:
    shown = Image.new("RGB", (400, 860), (245, 245, 248))
    pen = ImageDraw.Draw(shown)
    pen.rectangle((0, 0, 400, 70), fill=(40, 90, 160))
    pen.text((20, 25), "Messages", "white", ImageFont.load_default(26))
    shown.paste(photo.resize((160, 120)), (20, 90))
    for y in range(230, 780, 60):
        left = int(rng.integers(10, 120))
        pen.rounded_rectangle((left, y, left + 260, y + 46), 12, fill=(210, 225, 250))
        pen.text((left + 12, y + 12), " ".join(rng.choice(WORDS, 3)), "black", ImageFont.load_default(18))
    pen.rectangle((0, 800, 400, 860), fill=(230, 230, 235))
    return shown


def drawing(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGBA", (300, 300), (255, 255, 255, 0))
    pen = ImageDraw.Draw(image)
    for _ in range(4):
        points = [tuple(map(int, rng.integers(20, 280, 2))) for _ in range(4)]
        pen.line(points, fill="white", width=7)
    return image


def blank(rng: np.random.Generator) -> Image.Image:
    shade = float(rng.uniform(235, 252))
    return Image.fromarray(rng.normal(shade, 1.0, (877, 620, 3)).clip(0, 255).astype(np.uint8))


def made(folder: Path, originals: list[Image.Image]) -> None:
    """Files named by their original: ``0007=quality 30.jpg``, ``letter 3=.png``."""
    rng = np.random.default_rng(0)
    for number, scene in enumerate(originals):
        width, height = scene.size
        image = scene.crop((width // 14, height // 14, width - width // 14, height - height // 14))
        image.save(folder / f"{number:04}=.jpg", quality=93)
        for name, (change, options) in COPIES.items():
            copy = change(image)
            exif = {"exif": copy.getexif()} if name == "rotated by EXIF" else {}
            ending = "webp" if options.get("format") else "jpg"
            copy.save(folder / f"{number:04}={name}.{ending}", **options, **exif)
        for take, burst in enumerate(bursts(scene, rng)):
            burst.save(folder / f"burst {number:04} {take}=.jpg", quality=90)
    for number in range(len(originals) // 4):
        letter(rng).save(folder / f"letter {number}=.png")
        receipt(rng).save(folder / f"receipt {number}=.png")
        screen(rng, originals[number]).save(folder / f"screen {number}=.png")
        drawing(rng).save(folder / f"drawing {number}=.png")
        blank(rng).save(folder / f"blank {number}=.jpg")


def p_hash(image: Image.Image) -> np.ndarray:
    values = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    steps = np.arange(32)
    cosines = np.cos(np.pi * steps[:, None] * (2 * steps[None] + 1) / 64)
    low = (cosines @ values @ cosines.T)[:8, :8]
    return (low > np.median(low)).ravel()


def d_hash(image: Image.Image) -> np.ndarray:
    values = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS), np.int16)
    return (values[:, 1:] > values[:, :-1]).ravel()


def tell(name: str, pairs: set[tuple[str, str]], names: list[str]) -> None:
    """``pairs``: of file names, taken for the same."""
    wanted = Counter(
        name.partition("=")[2].rpartition(".")[0] for name in names if not name.endswith(("=.jpg", "=.png"))
    )
    kinds: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for one, other in pairs:
        (first, _, of_first), (second, _, of_second) = one.partition("="), other.partition("=")
        if first == second:
            kind = (of_second if of_first.startswith(".") else of_first).rpartition(".")[0]
            kinds[kind] += of_first.startswith(".") or of_second.startswith(".")
        else:
            sorts = {"photo" if part[0].isdigit() else part.partition(" ")[0] for part in (first, second)}
            wrong[" / ".join(sorted(sorts))] += 1
    right = sum(kinds[kind] for kind in wanted)
    total = right + wrong.total()
    print(f"{name}: precision {right / max(1, total):.4f}, recall {right / wanted.total():.3f}")
    print("   " + ", ".join(f"{kind} {kinds[kind] / count:.2f}" for kind, count in sorted(wanted.items())))
    print("    wrong: " + (", ".join(f"{kind} {count}" for kind, count in wrong.most_common()) or "none"))


def by_hash(
    images: dict[str, Image.Image], hashed: Callable[[Image.Image], np.ndarray], most: int
) -> set[tuple[str, str]]:
    names = list(images)
    bits = np.stack([hashed(images[name]) for name in names]).astype(np.int16)
    apart = bits.sum(1)[:, None] + bits.sum(1)[None] - 2 * bits @ bits.T
    return {(names[i], names[j]) for i, j in zip(*np.nonzero(np.triu(apart <= most, 1)), strict=True)}


def main(folder: Path, count: int) -> None:
    found = list(scan(folder, LeftOut()))
    chosen = found[:: max(1, len(found) // count)][:count]
    originals = [open_picture(file.path.read_bytes()) for file in chosen]
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
        pictures = Path(place) / "pictures"
        pictures.mkdir()
        made(pictures, originals)
        images = {path.name: open_picture(path.read_bytes()) for path in sorted(pictures.iterdir())}
        names = list(images)
        print(f"{len(originals)} pictures, {len(COPIES)} copies of each, {len(names)} files")
        tell("pHash, distance 10", by_hash(images, p_hash, 10), names)
        tell("dHash, distance 5", by_hash(images, d_hash, 5), names)
        looks = {name: Looks.of(image) for name, image in images.items()}
        near = by_hash(images, p_hash, 22) | by_hash(images, d_hash, 18)
        near |= {(f"{name[:4]}=.jpg", name) for name in names if name[4] == "=" and name[5] != "."}
        began = time.perf_counter()
        same = {pair for pair in near if is_same(looks[pair[0]], looks[pair[1]])}
        seconds = time.perf_counter() - began
        tell(f"pixels, of {len(near)} pairs at {1000 * seconds / len(near):.1f} ms", same, names)
        if "--pixels" in sys.argv:
            return
        store = EmbeddedStore(Path(place) / "store")
        run_folder(store, pictures, "copies", Options(encoder="efficientnet-lite0", projection="conse", offline=True))
        with store.open("copies") as collection:
            began = time.perf_counter()
            groups = find_duplicates(collection)
            seconds = time.perf_counter() - began
        paired = {
            pair for group in groups for pair in combinations([member.picture.path for member in group.members], 2)
        }
        tell(f"the command, {len(names) / seconds:.0f} pictures/s", paired, names)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
