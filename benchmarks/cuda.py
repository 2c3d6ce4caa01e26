"""What CUDA gives: whether its vectors find what the CPU's find, and how many pictures a second.

    python benchmarks/cuda.py FOLDER [PICTURES=512] [ENCODER...]

An archive may be ingested on one machine and asked on another, where the question's picture goes through ONNX Runtime:
its half-precision vectors must stand for the CPU's. For each encoder are shown

cosine        of the two vectors of one picture, the least and the median
first         pictures whose CPU vector is nearest to their own CUDA vector, of all
ten nearest   share of the ten nearest pictures that both devices agree on
encode        pictures a second, the encoder alone: CPU and CUDA
embed         pictures a second, read, decoded and encoded by `model.encoders.embed`: CPU and CUDA. For CUDA there are
              eight copies of each, which differ in a comment: what a run takes at its start must not be all there is

Nothing is kept: no store, no words. Where the cache has no weights of an encoder it runs on seeded ones: only the rates
are shown, for such a network sees the same in every picture.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from model.encoders import Embedded, Encoder, embed, encoder_spec, installed_sha256, open_encoder
from model.encoders.registry import build_network
from model.fetching import hand_over_weights
from model.pair import BUNDLED
from model.pictures import LeftOut, PictureFile, scan

ROUNDS = 3
WARM = 256
COPIES = 8
JPEG_START = b"\xff\xd8"


def main(folder: Path, pictures: int, names: list[str]) -> None:
    files = list(scan(folder, LeftOut()))
    files = files[:: max(1, len(files) // pictures)][:pictures]
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {len(files)} pictures")
    for name in names:
        is_seeded = not installed_sha256(encoder_spec(name))
        if is_seeded:
            _seed(name)
        cpu, cuda = (open_encoder(name, device=device, many=True) for device in ("cpu", "cuda"))
        print(f"{name}{', seeded' if is_seeded else ''}")
        if not is_seeded:
            _compare(cpu, cuda, files)
        with tempfile.TemporaryDirectory(prefix="wordsight-benchmark-") as place:
            _time(cpu, cuda, files, _copies(files, Path(place)))


def _seed(name: str) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "weights.pth"
        torch.save(build_network(name).state_dict(), file)
        hand_over_weights(name, file, unverified=True)


def _compare(cpu: Encoder, cuda: Encoder, files: list[PictureFile]) -> None:
    ours, theirs = (_unit(_vectors(files, encoder)) for encoder in (cpu, cuda))
    cosines = (ours * theirs).sum(axis=1)
    first = float(((ours @ theirs.T).argmax(axis=1) == np.arange(len(files))).mean())
    print(f"  cosine       least {cosines.min():.6f}, median {np.median(cosines):.6f}")
    print(f"  first        {first:.4f}")
    print(f"  ten nearest  {_agreement(ours @ ours.T, theirs @ theirs.T):.4f}")


def _time(cpu: Encoder, cuda: Encoder, files: list[PictureFile], copies: list[PictureFile]) -> None:
    side = cuda.spec.framing.crop
    framed = np.random.default_rng(0).integers(0, 256, (cuda.batch_size, side, side, 3), np.uint8)
    rates = [_median(lambda encoder=encoder: _encode_rate(encoder, framed)) for encoder in (cpu, cuda)]
    print(f"  encode       CPU {rates[0]:8.1f} pictures/s, CUDA {rates[1]:8.1f}")
    rates = [_median(lambda: _embed_rate(cpu, files)), _median(lambda: _embed_rate(cuda, copies))]
    print(f"  embed        CPU {rates[0]:8.1f} pictures/s, CUDA {rates[1]:8.1f}")


def _copies(files: list[PictureFile], place: Path) -> list[PictureFile]:
    """JPEG files only."""
    for number, copy in itertools.product(range(len(files)), range(COPIES)):
        data = Path(files[number].path).read_bytes()
        if data.startswith(JPEG_START):
            comment = b"\xff\xfe\x00\x03" + bytes([copy])
            (place / f"{copy}-{number}.jpg").write_bytes(JPEG_START + comment + data[len(JPEG_START) :])
    return list(scan(place, LeftOut()))


def _vectors(files: list[PictureFile], encoder: Encoder) -> np.ndarray:
    records = list(embed(files, encoder))
    vectors = [record.features for record in records if isinstance(record, Embedded) and record.features is not None]
    if len(vectors) != len(files):
        sys.exit(f"{len(files) - len(vectors)} files cannot be read: name a folder of good pictures")
    return np.stack(vectors)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _agreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    nearest = [np.argsort(-scores, axis=1)[:, 1:11] for scores in (ours, theirs)]
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(*nearest, strict=True)]))


def _encode_rate(encoder: Encoder, framed: np.ndarray) -> float:
    encoder.encode(framed)
    batches = max(1, WARM // len(framed)) * (16 if encoder.streams == 1 else 1)
    begin = time.perf_counter()
    for _ in range(batches):
        encoder.encode(framed)
    return batches * len(framed) / (time.perf_counter() - begin)


def _embed_rate(encoder: Encoder, files: list[PictureFile]) -> float:
    begin = time.perf_counter()
    done = sum(isinstance(record, Embedded) for record in embed(files, encoder))
    return done / (time.perf_counter() - begin)


def _median(rate: Callable[[], float]) -> float:
    return statistics.median(rate() for _ in range(ROUNDS))


if __name__ == "__main__":
    given = sys.argv[1:]
    if not given or not torch.cuda.is_available():
        sys.exit(__doc__ if not given else "there is no CUDA device here")
    count = list(itertools.takewhile(str.isdigit, given[1:2]))
    main(Path(given[0]), int(count[0]) if count else 512, given[1 + len(count) :] or [BUNDLED.encoder, "vgg16"])
