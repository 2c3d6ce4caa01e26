"""An archive of many files, from the folder to the first answer: what it costs in time, disk and memory.

    python benchmarks/archive.py PHOTOS [--files 200000] [--side 2000] [--work FOLDER] [--ocr]

The files are made of PHOTOS, each of another cut of one of them with noise of its own, so that none is a copy: JPEGs of
``--side`` pixels, as a phone's are, of which 200,000 take some 120 GB. They lie in folders by month, with EXIF dates.
Then the installed commands run on them: `ingest run` on all, again with nothing to do, again with one file in a hundred
touched, `ingest status`, and the first question after each. One JSON object a step: seconds by the clock, of processor
time, pictures a second, the peak of resident memory and the store's size on disk.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

MONTHS = 240
TOUCHED = 100
NOISE = 6.0
"""Of 255: what a phone's sensor leaves at dusk."""

DATE, DATE_ORIGINAL, EXIF_FOLDER = 0x0132, 0x9003, 0x8769


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--files", type=int, default=200_000)
    arguments.add_argument("--side", type=int, default=2000)
    arguments.add_argument("--work", type=Path)
    arguments.add_argument("--ocr", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="wordsight-archive-", dir=given.work) as place:
        archive, store = Path(place) / "archive", Path(place) / "store"
        began = time.perf_counter()
        size = make(given.photos, archive, given.files, given.side)
        tell("made", {"files": given.files, "gigabytes": round(size / 1e9, 2), "seconds": time.perf_counter() - began})
        ingest = ["ingest", "run", str(archive), "--offline", "--store", str(store)]
        step("first run", [*ingest, *(["--ocr"] if given.ocr else [])], store, given.files)
        ask(store, "first question")
        ask(store, "second question")
        step("nothing to do", ingest, store, given.files)
        for path in list(files(archive))[::TOUCHED]:
            os.utime(path)
        step(f"one in {TOUCHED} touched", ingest, store, given.files)
        step("status", ["ingest", "status", "--json", "--store", str(store)], store, given.files)
        step("export", ["ingest", "export", str(Path(place) / "snapshot"), "--store", str(store)], store, given.files)


def make(photos: Path, archive: Path, count: int, side: int) -> int:
    """The files; their size in bytes."""
    originals = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    for month in range(min(MONTHS, count)):
        (archive / folder_of(month)).mkdir(parents=True)
    tasks = ((originals[number % len(originals)], archive, number, side) for number in range(count))
    with ProcessPoolExecutor() as pool:
        return sum(pool.map(_make_one, *zip(*tasks, strict=True), chunksize=32))


def folder_of(number: int) -> str:
    month = number % MONTHS
    return f"{2005 + month // 12}/{2005 + month // 12}-{month % 12 + 1:02}"


def _make_one(original: Path, archive: Path, number: int, side: int) -> int:
    random = np.random.default_rng(number)
    with Image.open(original) as opened:
        image = opened.convert("RGB")
    left, top, right, bottom = random.uniform(0, 0.15, 4) * (*image.size, *image.size)
    image = image.crop((int(left), int(top), int(image.width - right), int(image.height - bottom)))
    scale = side / max(image.size)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    grain = random.normal(0, NOISE, (image.height // 4 + 1, image.width // 4 + 1)).astype(np.float32)
    noisy = np.asarray(image, np.float32) + grain.repeat(4, 0).repeat(4, 1)[: image.height, : image.width, None]
    exif = Image.Exif()
    folder = folder_of(number)
    exif[DATE] = f"{folder[-7:].replace('-', ':')}:{number % 28 + 1:02} 12:00:00"
    exif[EXIF_FOLDER] = {DATE_ORIGINAL: exif[DATE]}
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=88, exif=exif)
    (archive / folder / f"IMG_{number:06}.jpg").write_bytes(file.getvalue())
    return file.tell()


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.jpg")))


def ask(store: Path, name: str) -> None:
    step(name, ["query", "text", "a red boat", "-n", "10", "--json", "--store", str(store)], store, 0)


def step(name: str, command: list[str], store: Path, pictures: int) -> None:
    """Run a command, which must succeed."""
    began = time.perf_counter()
    with subprocess.Popen([Path(sys.executable).parent / command[0], *command[1:]], stdout=subprocess.PIPE) as running:
        out = running.stdout.read() if running.stdout else b""
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        sys.exit(f"{' '.join(command)} ended with status {running.returncode}")
    seconds = time.perf_counter() - began
    told = {
        "seconds": seconds,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss >> 10,
        "store_mb": sum(path.stat().st_blocks * 512 for path in store.rglob("*") if path.is_file()) / 1e6,
    }
    if pictures:
        told["pictures_per_second"] = pictures / seconds
    if name == "status":
        row = json.loads(out)
        told |= {"graph": row["graph"], **{f"recall_{space}": found for space, found in row["recall"].items()}}
    tell(name, told)


def tell(name: str, told: dict[str, float]) -> None:
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in told.items()}
    print(json.dumps({"step": name, **rounded}), flush=True)


if __name__ == "__main__":
    main()
