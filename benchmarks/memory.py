"""Peak memory of `ingest run` against the number of pictures.

    python benchmarks/memory.py FOLDER [COPIES]

Runs once over the folder and once over several copies of it, which differ in a trailing byte so that each
picture is encoded. Anonymous memory is the process's own; the rest of the resident set is the store's
memory-mapped files, which the system takes back when it needs room.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPTS = Path(sys.executable).parent
POLL_SECONDS = 0.05


def main(folder: Path, copies: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["WORDSIGHT_STORE"] = str(Path(place) / "store")
        for count in (1, copies):
            target = Path(place) / f"copies-{count}"
            for path in folder.rglob("*.jpg"):
                for copy in range(count):
                    new = target / path.parent.name / f"{copy}-{path.name}"
                    new.parent.mkdir(parents=True, exist_ok=True)
                    new.write_bytes(path.read_bytes() + bytes([copy]))
            for projection in ("conse", "document"):
                anonymous, resident, seconds = ingest(target, f"c{count}-{projection}", projection)
                pictures = sum(1 for _ in target.rglob("*.jpg"))
                peak = f"peak {resident} MB, {anonymous} MB of it its own"
                print(f"{pictures} pictures, {projection}: {peak}, {seconds:.0f} s")


def ingest(folder: Path, name: str, projection: str) -> tuple[int, int, float]:
    words = ["run", folder, "--offline", "--collection", name, "--projection", projection]
    started = time.monotonic()
    process = subprocess.Popen([SCRIPTS / "ingest", *words], stderr=subprocess.DEVNULL)
    anonymous = resident = 0
    while process.poll() is None:
        status = read_status(process.pid)
        anonymous, resident = max(anonymous, status.get("RssAnon", 0)), max(resident, status.get("VmHWM", 0))
        time.sleep(POLL_SECONDS)
    if process.returncode:
        raise SystemExit(f"ingest ended with {process.returncode}")
    return anonymous >> 10, resident >> 10, time.monotonic() - started


def read_status(pid: int) -> dict[str, int]:
    """Kilobytes by name, of Linux's /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(value) for name, value, _ in pairs}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4)
