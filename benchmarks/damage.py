"""Damages each file of a store in eight ways, asks questions of it, and has it mended.

    python benchmarks/damage.py PHOTOS [--every N] [--keep-time] [--work FOLDER]

PHOTOS holds a folder a label, two at least. ``--every N`` takes an N-th of all damages, chosen by chance and the same
ones each time; the whole store, made once, stays in the work folder. Ctrl-C ends it with the table so far.

A damage ends well where the answers are right all the same, or a question ends with one clear error; it is silent where
an answer is wrong, and a crash where the process is killed, hangs, or shows a traceback. Then `ingest check --repair`
looks at the collection, and the questions are asked again. With ``--keep-time`` the files get their old times back, as
a disk would leave them: that is what ``ingest check`` is for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

COLUMNS = ("tried", "right", "clear error", "silent", "crash", "mended", "not mended")
PAGE = 4096
PROCESSOR_SECONDS = 300
RETRAINED = 0.02
"""How much a score may differ where the projection was lost, and trained anew on the pictures in another order."""

SECONDS = 1800
"""By the clock, which on a busy machine says little: for what waits for nothing."""

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["query", "query.asking", "ingest.cli", "ingest.pipeline", "qdrant_edge", "onnxruntime"])


def _page(data: bytearray, place: int, fill: bytes) -> bytearray:
    start = max(0, min(place, len(data) - PAGE))
    data[start : start + PAGE] = fill[: len(data[start : start + PAGE])]
    return data


def _flipped(data: bytearray, dice: random.Random) -> bytearray:
    there = [place for place, byte in enumerate(data[: 1 << 20]) if byte] or list(range(min(len(data), 1 << 20)))
    if there:
        data[dice.choice(there)] ^= 1 << dice.randrange(8)
    return data


DAMAGES: dict[str, Callable[[bytearray, random.Random], bytearray | None]] = {
    "removed": lambda _data, _dice: None,
    "emptied": lambda _data, _dice: bytearray(),
    "cut to half": lambda data, _dice: data[: len(data) // 2],
    "longer": lambda data, dice: data + dice.randbytes(PAGE),
    "zeroed": lambda data, _dice: bytearray(len(data)),
    "first page zeroed": lambda data, _dice: _page(data, 0, bytes(PAGE)),
    "first page random": lambda data, dice: _page(data, 0, dice.randbytes(PAGE)),
    "one bit flipped": _flipped,
}


def ask(store: str, photos: Path) -> dict[str, Any]:
    """What a user asks, as far as it can be answered; ``error`` where it ends with one."""
    from model.errors import WordsightError
    from query import open_collection

    pictures = sorted(path for path in photos.rglob("*") if path.suffix in (".jpg", ".png"))
    picture, label, under = str(pictures[0]), pictures[0].parent.name, pictures[-1].parent.name
    try:
        with open_collection(store, "photos") as collection:
            return {
                "text": _hits(collection.text("a cat", limit=50)),
                "similar": _hits(collection.similar(picture, limit=50)),
                "label": _hits(collection.text("grass", limit=50, labels=[label])),
                "under": _hits(collection.text("grass", limit=50, under=under)),
                "tags": [[tag.word, round(tag.score, 4)] for tag in collection.tags(picture)],
                "own": [[tag.word, round(tag.score, 4)] for tag in collection.tags(picture, own_labels=True)],
            }
    except WordsightError as error:
        return {"error": str(error)}


def _hits(answer: Any) -> list[list[Any]]:
    return [[hit.picture.path, hit.picture.width, hit.picture.sha256, round(hit.score, 4)] for hit in answer]


def asked(store: Path, photos: Path, place: Path) -> dict[str, Any]:
    """`ask` in a process of its own, which damage may kill."""
    status, said = apart(place, _ask_into, str(store), photos, place / "answers.json")
    if status:
        return {"crash": said[-1:] or status}
    found: dict[str, Any] = json.loads((place / "answers.json").read_text())
    return found


def _ask_into(store: str, photos: Path, file: Path) -> None:
    file.write_text(json.dumps(ask(store, photos)))


def apart(place: Path, function: Callable[..., None], *args: Any) -> tuple[int, list[str]]:
    """Call a function in a process that has imported everything; its exit status and what it wrote to stderr.

    The status is that of `timeout` where it did not end.
    """
    process = FORKS.Process(target=_quietly, args=(place / "said", function, *args))
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        return 124, [f"nothing after {SECONDS} s"]
    return process.exitcode, (place / "said").read_text(errors="replace").strip().splitlines()


def _quietly(said: Path, function: Callable[..., None], *args: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    with said.open("wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    function(*args)


def outcome(found: dict[str, Any], right: dict[str, Any]) -> str:
    """Right, a clear error, silent, or a crash."""
    if "crash" in found:
        return "crash"
    if "error" in found:
        return "clear error"
    return "right" if found == right else "silent"


def is_mended(found: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether the same is answered, with the same scores but for what training anew makes of them."""
    if found.keys() != right.keys():
        return False
    pairs = [(sorted(found[name]), sorted(right[name])) for name in right]
    return all(
        len(one) == len(other)
        and all(a[:-1] == b[:-1] and abs(a[-1] - b[-1]) < RETRAINED for a, b in zip(one, other, strict=True))
        for one, other in pairs
    )


def trials(store: Path, every: int) -> Iterator[tuple[Path, str, int]]:
    """Files and ways to damage them, every so-many-th of all."""
    locks = ("shard.lock", "queue.lock", "writer.lock")
    files = sorted(path for path in store.rglob("*") if path.is_file() and path.name not in locks)
    pairs = [(path, how) for path in files for how in DAMAGES]
    chosen = [(path, how, number) for number, (path, how) in enumerate(pairs)]
    random.Random(0).shuffle(chosen)
    yield from chosen[::every]


def damage(path: Path, how: str, seed: int, *, keep_time: bool) -> None:
    """Damage one file in place."""
    status = path.stat()
    data = DAMAGES[how](bytearray(path.read_bytes()), random.Random(seed))
    if data is None:
        path.unlink()
        return
    with path.open("rb+") as file:
        file.write(data)
        file.truncate(len(data))
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def copied(source: Path, target: Path) -> None:
    """A copy with the same times and holes."""
    subprocess.run(["rm", "-rf", str(target)], check=True)
    subprocess.run(["cp", "-a", "--sparse=always", str(source), str(target)], check=True)


def run(*command: str, store: Path, place: Path) -> int:
    """A command on a store; its exit status."""
    return apart(place, _command, ["ingest", *command, "--store", str(store)])[0]


def _command(words: list[str]) -> None:
    from ingest.__main__ import main as command

    sys.argv = words
    command()


def table(outcomes: Mapping[str, Counter[str]]) -> str:
    """A row a kind of damage, in Markdown."""
    rows = [f"| {how} | " + " | ".join(str(found[one]) for one in COLUMNS) + " |" for how, found in outcomes.items()]
    total: Counter[str] = sum(outcomes.values(), Counter())
    rows.append("| all | " + " | ".join(str(total[one]) for one in COLUMNS) + " |")
    return "\n".join(["| damage | " + " | ".join(COLUMNS) + " |", "| --- |" + " --- |" * len(COLUMNS), *rows])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--every", type=int, default=1)
    arguments.add_argument("--keep-time", action="store_true")
    arguments.add_argument("--work", type=Path)
    given = arguments.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="damage-"))
    whole, store = work / "whole", work / "store"
    work.mkdir(exist_ok=True)
    if not whole.exists() and run("run", str(given.photos), "--offline", "-c", "photos", store=whole, place=work):
        sys.exit("the store could not be made")
    right = asked(whole, given.photos, work)
    if "text" not in right:
        sys.exit(f"the store does not answer: {right}")
    outcomes: dict[str, Counter[str]] = {how: Counter() for how in DAMAGES}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for path, how, seed in trials(whole, given.every):
            copied(whole, store)
            damage(store / path.relative_to(whole), how, seed, keep_time=given.keep_time)
            result = outcome(asked(store, given.photos, work), right)
            damaged = path.relative_to(whole / "collections").parts[0]
            status = run("check", "--repair", "-c", damaged, store=store, place=work)
            after = "mended" if status == 0 and is_mended(asked(store, given.photos, work), right) else "not mended"
            outcomes[how].update(("tried", result, after))
            if result in ("silent", "crash") or after != "mended":
                print(f"{result}; {after}: {path.relative_to(whole)} {how}", flush=True)
    print(table(outcomes), flush=True)


if __name__ == "__main__":
    main()
