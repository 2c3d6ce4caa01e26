"""Photographs that installed packages carry, as a small labelled folder to try things with."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from model.errors import DatasetError

SKIMAGE = ("skimage", "data")
SKLEARN = ("sklearn", "datasets/images")

# label: the files, in the package and folder they come in
PHOTOGRAPHS: dict[str, tuple[tuple[tuple[str, str], str], ...]] = {
    "astronaut": ((SKIMAGE, "astronaut.png"),),
    "brick": ((SKIMAGE, "brick.png"),),
    "cat": ((SKIMAGE, "chelsea.png"),),
    "clock": ((SKIMAGE, "clock_motion.png"),),
    "coffee": ((SKIMAGE, "coffee.png"),),
    "coins": ((SKIMAGE, "coins.png"),),
    "flower": ((SKLEARN, "flower.jpg"),),
    "galaxy": ((SKIMAGE, "hubble_deep_field.jpg"),),
    "grass": ((SKIMAGE, "grass.png"),),
    "moon": ((SKIMAGE, "moon.png"),),
    "motorcycle": ((SKIMAGE, "motorcycle_left.png"), (SKIMAGE, "motorcycle_right.png")),
    "photographer": ((SKIMAGE, "camera.png"),),
    "rocket": ((SKIMAGE, "rocket.jpg"),),
    "temple": ((SKLEARN, "china.jpg"),),
}


def write_sample(folder: Path) -> int:
    """Copy the photographs to ``folder/<label>/``; returns how many there are now.

    Raises:
        DatasetError: the packages are not installed, or the folder cannot be written.
    """
    sources = [(label, _source(place, name)) for label, files in PHOTOGRAPHS.items() for place, name in files]
    present = [(label, path) for label, path in sources if path is not None]
    if not present:
        raise DatasetError("the photographs come in two packages: pip install scikit-image scikit-learn")
    try:
        for label, path in present:
            target = folder / label / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copyfile(path, target)
    except OSError as error:
        raise DatasetError(f"cannot write to {folder}: {error.strerror}") from error
    return len(present)


def _source(place: tuple[str, str], name: str) -> Path | None:
    package, inside = place
    found = find_spec(package)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / inside / name
    return path if path.is_file() else None
