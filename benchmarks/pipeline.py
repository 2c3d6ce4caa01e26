"""How near `ingest run` comes to what decoding and encoding cost, and how far it is from the loop people write.

    python benchmarks/pipeline.py FOLDER [--encoder vgg16] [--pictures 512] [--rounds 5] [--framings]

All on the same pictures, which differ from each other, in turn, in several rounds; medians are shown, and ratios
taken within each round, for on a busy machine the rates themselves go up and down together.

decode        read, hash, decode and frame, a thread a core: `model.encoders.embedding` without the encoder
encode        the encoder alone, a stream a core
both allow    what is left to reach: every core takes pictures in turn and decodes, then encodes a batch, with no
              queue, no order, no store; nothing idles and nothing is handed over, so no pipeline is faster
ingest run    `run_folder` with ConSE into a new collection, from its first picture to its last; start-up, which is
              opening encoder, words and store and making the collection, is shown apart
plain loop    Pillow, torch eager in batches of 32, `QdrantClient(path=...)`, one after the other

With --framings: `ingest run` alone, of pictures no longer than 7:4, by the framings `whole` and `published` in turn,
each of them first in every second round.

Processor time is shown beside: (decode + encode) / ingest, which the rest of a busy machine hardly changes.
It is not called ingest.py because that would hide the package `ingest` from every script beside it.
With --encoder vgg16 the cache must hold weights; seeded ones will do: `model fetch --weights FILE --unverified`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from ingest.collection import Options, ensure_tags
from ingest.pipeline import run_folder
from ingest.pipeline.embedding import Embedding
from ingest.stores.embedded import EmbeddedStore
from model.encoders import (
    DEFAULT_MAX_SECONDS,
    Encoder,
    class_names,
    decode_threads,
    encoder_spec,
    installed_sha256,
    open_encoder,
    weights_file,
)
from model.encoders.embedding import _Loader
from model.pair import BUNDLED
from model.pictures import PUBLISHED, WHOLE, LeftOut, PictureFile, in_order, scan
from model.words import open_words

LONGEST_ORDINARY = 1.75
PLAIN_BATCH = 32
PLAIN_SHARE = 8
"""The plain loop takes one in so many of the pictures: it is slow, and its rate is steady."""


def main(folder: Path, encoder_name: str, pictures: int, rounds: int) -> None:
    encoder = open_encoder(encoder_name, many=True)
    words = open_words(BUNDLED.words)
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
        chosen = Path(place) / "pictures"
        files = choose(folder, chosen, pictures)
        store = EmbeddedStore(Path(place) / "store")
        ensure_tags(store, words, class_names(encoder))
        framed = [load(file, encoder) for file in files]
        plain = PlainLoop(encoder_name, Path(place) / "plain")
        work: dict[str, Callable[[], int]] = {
            "decode": lambda: decode(files, encoder),
            "encode": lambda: encode(framed, encoder),
            "both allow": lambda: both(files, encoder),
            "ingest run": lambda: ingest(store, chosen, encoder_name, len(files)),
            "plain loop": lambda: plain.run(files[::PLAIN_SHARE]),
        }
        encode(framed[:32], encoder)  # the session is made
        rates: dict[str, list[float]] = {name: [] for name in work}
        costs: dict[str, list[float]] = {name: [] for name in work}
        starts: list[float] = []
        for _ in range(rounds):
            for name, call in work.items():
                store_start = time.perf_counter()
                wall, cpu = time.perf_counter(), time.process_time()
                done = call()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                if name == "ingest run":
                    starts.append(Watched.first - store_start)
                    wall, cpu = Watched.last - Watched.first, Watched.cpu
                rates[name].append(done / wall)
                costs[name].append(1000 * cpu / done)
    show(rates, costs, starts, len(files), encoder_name, rounds)


def compare_framings(folder: Path, encoder_name: str, pictures: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
        chosen = Path(place) / "pictures"
        count = len(choose(folder, chosen, pictures, longest=LONGEST_ORDINARY))
        store = EmbeddedStore(Path(place) / "store")
        ingest(store, chosen, encoder_name, count, WHOLE)  # tags are made, files are in memory
        rates: dict[str, list[float]] = {WHOLE: [], PUBLISHED: []}
        costs: dict[str, list[float]] = {WHOLE: [], PUBLISHED: []}
        for number in range(rounds):
            for rule in (WHOLE, PUBLISHED) if number % 2 else (PUBLISHED, WHOLE):
                done = ingest(store, chosen, encoder_name, count, rule)
                rates[rule].append(done / (Watched.last - Watched.first))
                costs[rule].append(1000 * Watched.cpu / done)
    print(f"{count} pictures no longer than 7:4, {encoder_name}, {rounds} rounds")
    for rule, got in rates.items():
        spread, cost = f"{min(got):.1f} - {max(got):.1f}", statistics.median(costs[rule])
        print(f"  {rule:<10} {statistics.median(got):7.1f} pictures/s  ({spread})  {cost:6.2f} ms processor a picture")
    for name, figures, sides in (("clock", rates, (WHOLE, PUBLISHED)), ("processor", costs, (PUBLISHED, WHOLE))):
        each = [a / b for a, b in zip(figures[sides[0]], figures[sides[1]], strict=True)]
        spread = f"({min(each):.3f} - {max(each):.3f})"
        print(f"  rate of whole / rate of published, by the {name}: {statistics.median(each):.3f}  {spread}")


def is_ordinary(file: PictureFile) -> bool:
    with Image.open(file.path) as image:
        return max(image.size) <= LONGEST_ORDINARY * min(image.size)


def choose(folder: Path, target: Path, count: int, longest: float = 0) -> list[PictureFile]:
    """Copies of the first pictures, in folders by label; more than there are differ in a trailing byte.

    ``longest``: ratio of the sides at most; 0: any.
    """
    found = [file for file in scan(folder, LeftOut()) if not longest or is_ordinary(file)]
    for i in range(count):
        source = found[i % len(found)]
        path = target / str(i // len(found)) / source.relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.path.read_bytes() + bytes([i // len(found)]))
    return list(scan(target, LeftOut()))


def load(file: PictureFile, encoder: Encoder) -> np.ndarray:
    loader = _Loader(encoder.spec.framing, lambda _: False, 0, DEFAULT_MAX_SECONDS)
    return loader.load(file).pixels  # type: ignore[union-attr]


def decode(files: list[PictureFile], encoder: Encoder) -> int:
    return sum(1 for _ in in_order(lambda file: load(file, encoder), files, threads=decode_threads(), ahead=64))


def encode(framed: list[np.ndarray], encoder: Encoder) -> int:
    starts = range(0, len(framed), encoder.batch_size)
    with ThreadPoolExecutor(encoder.streams) as threads:
        return sum(threads.map(lambda s: len(encoder.encode(np.stack(framed[s : s + encoder.batch_size]))), starts))


def both(files: list[PictureFile], encoder: Encoder) -> int:
    def work(start: int) -> int:
        batch = files[start : start + encoder.batch_size]
        return len(encoder.encode(np.stack([load(file, encoder) for file in batch])))

    with ThreadPoolExecutor(encoder.streams) as threads:
        return sum(threads.map(work, range(0, len(files), encoder.batch_size)))


class Watched:
    """When the pipeline of the last ingest began and ended, and its processor seconds."""

    first = last = cpu = 0.0


def ingest(store: EmbeddedStore, folder: Path, encoder_name: str, expected: int, framing: str = "") -> int:
    inner = Embedding.run

    def timed(self: Embedding, *args: object) -> None:
        if self._encoder.spec.name == encoder_name:
            self._encoder.encode(np.zeros((1, 224, 224, 3), np.uint8))  # making the session is start-up
        Watched.first, cpu = time.perf_counter(), time.process_time()
        inner(self, *args)  # type: ignore[arg-type]
        Watched.last, Watched.cpu = time.perf_counter(), time.process_time() - cpu

    Embedding.run = timed  # type: ignore[method-assign, assignment]
    try:
        options = Options(encoder=encoder_name, words=BUNDLED.words, projection="conse", offline=True, framing=framing)
        report = run_folder(store, folder, "benchmark", options)
    finally:
        Embedding.run = inner  # type: ignore[method-assign]
    assert report.added == expected, report  # noqa: S101
    store.drop("benchmark")
    return report.added


class PlainLoop:
    """What a tutorial does: one picture after the other, one batch after the other."""

    def __init__(self, encoder_name: str, place: Path) -> None:
        from model.encoders.torch import load_network

        spec = encoder_spec(encoder_name)
        sha256 = installed_sha256(spec) or ""
        self.network, _ = load_network(spec, weights_file(spec, sha256))
        self.width, self.place, self.framing = spec.width, place, spec.framing

    def run(self, files: list[PictureFile]) -> int:
        import torch
        from qdrant_client import QdrantClient, models

        from model.pictures.framing import frame

        client = QdrantClient(path=str(self.place))
        vectors = models.VectorParams(size=self.width, distance=models.Distance.COSINE)
        client.create_collection("plain", vectors_config=vectors)
        with torch.inference_mode():
            for start in range(0, len(files), PLAIN_BATCH):
                batch = files[start : start + PLAIN_BATCH]
                pixels = [frame(Image.open(file.path).convert("RGB"), self.framing) for file in batch]
                features = self.network(torch.from_numpy(np.concatenate(pixels))).numpy()
                points = [
                    models.PointStruct(id=start + i, vector=vector.tolist(), payload={"path": file.relative})
                    for i, (file, vector) in enumerate(zip(batch, features, strict=True))
                ]
                client.upsert("plain", points)
        client.close()
        shutil.rmtree(self.place)
        return len(files)


def show(
    rates: dict[str, list[float]],
    costs: dict[str, list[float]],
    starts: list[float],
    pictures: int,
    encoder_name: str,
    rounds: int,
) -> None:
    print(f"{pictures} pictures, {encoder_name}, {rounds} rounds")
    for name, got in rates.items():
        spread = f"{min(got):7.1f} - {max(got):7.1f}"
        cost = statistics.median(costs[name])
        print(f"  {name:<11} {statistics.median(got):7.1f} pictures/s  ({spread})  {cost:7.2f} ms processor a picture")
    print(f"  start-up of ingest run: {statistics.median(starts):.2f} s")

    def ratio(one: str, other: str) -> str:
        each = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
        return f"{statistics.median(each):.3f}  ({min(each):.3f} - {max(each):.3f})"

    bare = [d + e for d, e in zip(costs["decode"], costs["encode"], strict=True)]
    share = [b / i for b, i in zip(bare, costs["ingest run"], strict=True)]
    print(f"  ingest run / both allow, by the clock:       {ratio('ingest run', 'both allow')}")
    processor = f"{statistics.median(share):.3f}  ({min(share):.3f} - {max(share):.3f})"
    print(f"  (decode + encode) / ingest run, processor:   {processor}")
    print(f"  ingest run / plain loop, by the clock:       {ratio('ingest run', 'plain loop')}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--encoder", default="efficientnet-lite0")
    arguments.add_argument("--pictures", type=int, default=512)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--framings", action="store_true")
    given = arguments.parse_args()
    (compare_framings if given.framings else main)(given.folder, given.encoder, given.pictures, given.rounds)
