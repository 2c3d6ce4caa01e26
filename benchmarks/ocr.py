"""How much of the text in pictures is read: words drawn on photographs, on phone screens and on dense pages.

    python benchmarks/ocr.py PHOTOS

PHOTOS holds pictures, at any depth. Fonts are those of this machine (fc-list), of 22 to 170 pixels. It prints a
row for each kind of picture and size of print: words drawn, the share of them that is read right, and the seconds of
processor time a picture of that kind takes on one core.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).parents[1]))

from model.ocr import READ_SIDE, open_text_reader

WORDS = (  # noqa: SIM905
    "harbour umbrella boarding passport invoice receipt Tuesday croissant bakery station exit danger museum ticket "
    "library Wellington marmalade dentist gravity lantern orchestra pavement quarter rhubarb saxophone telegraph "
    "vineyard waterfall yesterday zeppelin 2024 1187 149 Kensington platform breakfast closed open parking sale hotel"
).split()
SMALL, LARGE = 32, 60
"""Pixels of the font's size from which print is of middle size, and from which it is large."""

Word = tuple[str, int]


def main() -> None:
    dice = random.Random(7)
    photos = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix in (".jpg", ".png"))
    fonts = sorted(subprocess.check_output(["fc-list", "--format", "%{file}\n", ":lang=en"], text=True).split())
    reader = open_text_reader()
    right: Counter[tuple[str, str]] = Counter()
    drawn: Counter[tuple[str, str]] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    pictures: Counter[str] = Counter()
    for kind, image, words in [*_photos(dice, photos, fonts), *_screens(dice, fonts), *_pages(dice, fonts)]:
        image.thumbnail((READ_SIDE, READ_SIDE))
        began = time.process_time()
        read = Counter(re.findall(r"[^\W_]+", reader.read(image).lower()))
        seconds[kind] += time.process_time() - began
        pictures[kind] += 1
        for word, size in words:
            row = (kind, "small" if size < SMALL else "middle" if size < LARGE else "large")
            drawn[row] += 1
            right[row] += bool(read[word.lower()])
            read[word.lower()] -= 1
    print(f"{'picture':<8} {'print':<8} {'words':>6} {'right':>6} {'seconds':>8}")
    for kind, print_size in sorted(drawn):
        words_drawn = drawn[kind, print_size]
        share = right[kind, print_size] / words_drawn
        print(f"{kind:<8} {print_size:<8} {words_drawn:>6} {share:>6.3f} {seconds[kind] / pictures[kind]:>8.2f}")


def _photos(dice: random.Random, photos: list[Path], fonts: list[str]) -> Iterator[tuple[str, Image.Image, list[Word]]]:
    for _ in range(24):
        image = Image.open(dice.choice(photos)).convert("RGB").resize((1600, 1200))
        draw, words, top = ImageDraw.Draw(image), [], 20
        for size in dice.sample([22, 30, 40, 56, 80, 120, 170], 4):
            text = " ".join(dice.choices(WORDS, k=1 if size > 90 else 3))
            font, left = ImageFont.truetype(dice.choice(fonts), size), dice.randint(10, 200)
            if dice.random() < 0.7:
                draw.rectangle(draw.textbbox((left, top), text, font=font), fill=(20, 60, 120))
            draw.text((left, top), text, font=font, fill="white")
            words += [(word, size) for word in text.split()]
            top += size + 60
        yield "photo", image, words


def _screens(dice: random.Random, fonts: list[str]) -> Iterator[tuple[str, Image.Image, list[Word]]]:
    for ground, ink in [("white", "black"), ("#111111", "#eeeeee")] * 3:
        image = Image.new("RGB", (1080, 2340), ground)
        draw, words, top = ImageDraw.Draw(image), [], 100
        while top < 2200:
            size, text = dice.choice([28, 34, 42, 60]), " ".join(dice.choices(WORDS, k=4))
            draw.text((50, top), text, font=ImageFont.truetype(dice.choice(fonts), size), fill=ink)
            words += [(word, size) for word in text.split()]
            top += int(2.2 * size)
        yield "screen", image, words


def _pages(dice: random.Random, fonts: list[str]) -> Iterator[tuple[str, Image.Image, list[Word]]]:
    for size in (30, 36, 44):
        image = Image.new("RGB", (2480, 3508), "white")
        draw, words, font = ImageDraw.Draw(image), [], ImageFont.truetype(dice.choice(fonts), size)
        for top in range(200, 3300, int(1.6 * size)):
            text = " ".join(dice.choices(WORDS, k=10))
            draw.text((200, top), text, font=font, fill="black")
            words += [(word, size) for word in text.split()]
        yield "page", image, words


if __name__ == "__main__":
    main()
