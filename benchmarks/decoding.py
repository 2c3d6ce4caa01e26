"""What becomes of every kind of picture file, whole and damaged: right, shown as damaged, refused, or wrong in silence.

    python benchmarks/decoding.py [--each]

Made-up files of all kinds (`tests/model/kinds.py`, `tests/model/more_kinds.py`) are decoded and compared with the
photograph that each holds. Then a detailed picture of each format is cut short at 25, 50, 75, 97 and 99% of its bytes,
and filled up with zeros from there, as a download that was not finished.

right           within the tolerance of the format's own losses
shown           decoded, and said to be damaged
refused         with a reason
silent          decoded to something else without a word: must be 0
nothing lost    cut or filled, and every pixel is there all the same

``--each`` prints every file that is not right. HEIC is left out where pillow-heif is not installed.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from model.encoders import encoder_spec
from model.errors import PictureError
from model.pictures import open_framed, open_picture
from tests.model.kinds import Kind, depths, everyday
from tests.model.more_kinds import all_more
from tests.model.photos import saved
from tests.model.test_damaged import FILES, grained

SHARES = (0.25, 0.5, 0.75, 0.97, 0.99)
OUTCOMES = ("right", "shown", "refused", "silent", "nothing lost")
FRAMING = encoder_spec("efficientnet-lite0").framing


def of_whole(kind: Kind) -> tuple[str, str]:
    """Outcome, and what is to be said of it."""
    try:
        opened = np.asarray(open_picture(kind.data)).astype(int)
        damaged = open_framed(kind.data, FRAMING).damaged
    except PictureError as error:
        return "refused", str(error)
    if damaged:
        return "shown", damaged
    if opened.shape != kind.seen.shape:
        return "silent", f"{opened.shape[1]} x {opened.shape[0]} pixels"
    difference = np.abs(opened - kind.seen).mean()
    return ("right", "") if difference <= kind.tolerance else ("silent", f"differs by {difference:.1f} of 255")


def of_damaged(data: bytes, whole: np.ndarray) -> tuple[str, str]:
    try:
        opened = np.asarray(open_picture(data))
        damaged = open_framed(data, FRAMING).damaged
    except PictureError as error:
        return "refused", str(error)
    if damaged:
        return "shown", damaged
    return ("nothing lost", "") if np.array_equal(opened, whole) else ("silent", "no word of what is missing")


def damaged_files() -> Iterator[tuple[str, str, bytes, np.ndarray]]:
    """Format, which damage, the damaged file, and the pixels of the whole one."""
    photo = grained()
    made = {name: make() for name, make in FILES.items()}
    made |= {"JPEG": saved(photo, "JPEG", quality=88), "PNG": saved(photo, "PNG")}
    made |= {"JPEG, progressive": saved(photo, "JPEG", quality=88, progressive=True)}
    for name, data in sorted(made.items()):
        whole = np.asarray(open_picture(data))
        for share in SHARES:
            begin = data[: int(len(data) * share)]
            yield name, f"cut at {share:.0%}", begin, whole
            yield name, f"zeros from {share:.0%}", begin + bytes(len(data) - len(begin)), whole


def table(title: str, counts: dict[str, Counter[str]]) -> None:
    used = [outcome for outcome in OUTCOMES if outcome == "silent" or any(row[outcome] for row in counts.values())]
    print(f"\n| {title} | {' | '.join(used)} |\n| --- |{' --- |' * len(used)}")
    for name, row in sorted(counts.items()):
        print(f"| {name} | {' | '.join(str(row[outcome]) for outcome in used)} |")
    total = sum(counts.values(), Counter[str]())
    print(f"| all {sum(total.values())} | {' | '.join(str(total[outcome]) for outcome in used)} |")


def main() -> None:
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    damages: dict[str, Counter[str]] = defaultdict(Counter)
    remarks = []
    for kind in (*everyday(), *depths(), *all_more()):
        outcome, said = of_whole(kind)
        family = kind.name.replace("JPEG2000", "JPEG 2000").replace("WEBP", "WebP").replace("BigTIFF", "TIFF")
        kinds["JPEG 2000" if family.startswith("JPEG 2000") else family.split()[0].rstrip(",")][outcome] += 1
        remarks += [f"{outcome:<8} {kind.name}: {said}"] if outcome != "right" else []
    for name, which, data, whole in damaged_files():
        outcome, said = of_damaged(data, whole)
        damages[name][outcome] += 1
        remarks.append(f"{outcome:<8} {name}, {which}: {said}")
    table("kind", kinds)
    table("damaged", damages)
    for remark in remarks if "--each" in sys.argv else ():
        print(remark)


if __name__ == "__main__":
    main()
