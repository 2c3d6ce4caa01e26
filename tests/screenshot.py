"""The README's picture of the page, drawn anew from the sample photographs.

    python -m tests.screenshot

It shows only photographs that scikit-image's documentation says are CC0, in the public domain or without known
copyright restrictions. Left out are those of which it says nothing, and scikit-learn's two, which are CC BY.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from ingest.records import stable_id
from tests.browser import Screen, chromium
from tests.commands import command
from tests.photographs import sample
from tests.serving import serve

TARGET = Path(__file__).parent / "page.png"
LEFT_OUT = ("flower", "temple", "motorcycle", "moon")
COLOURS = 128
ASKED = stable_id("coffee/coffee.png")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["WORDSIGHT_STORE"] = str(Path(place) / "store")
        photos = sample(Path(place) / "photos")
        for label in LEFT_OUT:
            shutil.rmtree(photos / label)
        command("ingest", "run", photos, "--offline")
        with serve() as served, chromium(Screen(1200, 720)) as page:
            page.driver.get(f"{served.address}?id={ASKED}&all=1")
            page.cards()
            page.wait(lambda: page.all(".words li"))
            shot = Image.open(page.shoot("readme")).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size >> 10} KB")  # noqa: T201


if __name__ == "__main__":
    main()
