"""How well near duplicates are told from other pictures, over thresholds.

    python benchmarks/duplicates.py FOLDER [PICTURES=300]

Of each picture makes six copies, as they come about: half the size, saved at quality 60, brightened by 15%, 3% cut
off each side, turned to a palette as by a messenger's preview (a quarter the size at quality 75), and 10% cut off.
Recall: the share of copies that stand in the group of their original. Precision: the share of grouped pairs
(first, other) that come of the same original. The originals are judged by their files' content only: two takes of
one scene count as different, so the precision told is the lowest it can be.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageEnhance

from ingest.collection import Options
from ingest.pipeline import run_folder
from ingest.stores.embedded import EmbeddedStore
from model.pictures import LeftOut, scan
from query.asking import DEFAULT_THRESHOLD, find_duplicates

THRESHOLDS = (0.8, 0.85, 0.88, 0.9, 0.92, 0.95, 0.97)
Change = Callable[[Image.Image], Image.Image]


def cut(share: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop(
            (int(width * share), int(height * share), int(width * (1 - share)), int(height * (1 - share)))
        )

    return change


CHANGES: dict[str, tuple[Change, int]] = {
    "half the size": (lambda image: image.resize((max(1, image.width // 2), max(1, image.height // 2))), 90),
    "quality 60": (lambda image: image, 60),
    "brighter by 15%": (lambda image: ImageEnhance.Brightness(image).enhance(1.15), 90),
    "3% cut off": (cut(0.03), 90),
    "a preview": (lambda image: image.resize((max(1, image.width // 4), max(1, image.height // 4))), 75),
    "10% cut off": (cut(0.1), 90),
}


def main(folder: Path, count: int) -> None:
    found = list(scan(folder, LeftOut()))
    chosen = found[:: max(1, len(found) // count)][:count]
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
        pictures = Path(place) / "pictures"
        pictures.mkdir()
        for i, file in enumerate(chosen):
            image = Image.open(file.path).convert("RGB")
            image.save(pictures / f"{i:04}-original.jpg", quality=95)
            for name, (change, quality) in CHANGES.items():
                change(image).save(pictures / f"{i:04}-{name}.jpg", quality=quality)
        store = EmbeddedStore(Path(place) / "store")
        run_folder(store, pictures, "copies", Options(encoder="efficientnet-lite0", projection="conse", offline=True))
        with store.open("copies") as collection:
            print(f"{len(chosen)} pictures and {len(CHANGES)} copies of each")
            for threshold in THRESHOLDS:
                tell(threshold, find_duplicates(collection, threshold), len(chosen))


def tell(threshold: float, groups: list, count: int) -> None:
    right = wrong = 0
    kinds: Counter[str] = Counter()
    for group in groups:
        first = group.members[0].picture.path.partition("-")[0]
        for member in group.members[1:]:
            original, _, kind = member.picture.path.removesuffix(".jpg").partition("-")
            if original == first:
                right += 1
                kinds[kind] += 1
            else:
                wrong += 1
    shares = ", ".join(f"{kind} {kinds[kind] / count:.2f}" for kind in CHANGES)
    recall, precision = right / (count * len(CHANGES)), right / max(1, right + wrong)
    mark = "  (the default)" if threshold == DEFAULT_THRESHOLD else ""
    print(f"  {threshold:.2f}: precision {precision:.4f}, recall {recall:.3f}; {shares}{mark}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300)
