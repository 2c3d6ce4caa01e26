"""Real photographs for tests: those that scikit-image and scikit-learn carry, and copies of them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageEnhance

from ingest.sample import write_sample


def labelled_folder(folder: Path, originals: Path, labels: tuple[str, ...], each: int) -> Path:
    """``each`` different crops of one photograph per label: enough to train on, quick to make."""
    for label in labels:
        source = next((originals / label).iterdir())
        image = Image.open(source).convert("RGB")
        (folder / label).mkdir(parents=True)
        for i in range(each):
            share = i / (3 * each)  # up to a third of each side is cut off
            right, lower = image.width * (1 - share / 2), image.height * (1 - share)
            crop = image.crop((int(image.width * share), int(image.height * share / 2), int(right), int(lower)))
            crop = ImageEnhance.Brightness(crop).enhance(0.8 + 0.4 * i / each)
            crop.resize((320, 240)).save(folder / label / f"{i:02}.jpg", quality=85)
    return folder


def sample(folder: Path) -> Path:
    """The sample folder that `ingest sample` writes."""
    write_sample(folder)
    return folder
