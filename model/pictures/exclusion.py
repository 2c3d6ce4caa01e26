"""What a scan leaves out though it may be pictures: junk of other programs, and what patterns of the user name.

It must not know how a folder is walked, nor what becomes of what was indexed before it was left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".wordsightignore"
"""In any folder of a dataset: what is left out of it, a pattern a line, as in a ``.gitignore``."""

JUNK_FOLDERS = frozenset(
    {
        # thumbnails and bins of a NAS: Synology, QNAP
        "@eadir", "#recycle", "#snapshot", "@tmp", "@recycle", "@recently-snapshot", ".@__thumb", ".@upload_cache",
        # bins, and what systems keep on their disks
        "$recycle.bin", "recycler", "recycled", "system volume information", "lost+found", ".trash", ".trashes",
        ".trash-1000", ".spotlight-v100", ".fseventsd", "__macosx",
        # thumbnails that programs make beside pictures
        ".thumbnails", ".thumb", "ipod photo cache", ".picasaoriginals",
    }
)  # fmt: skip
"""In lower case; folders that hold copies, remains and thumbnails, and never the one original."""

JUNK_ENDINGS = (".lrdata", ".lrcat-data")
"""Of folders: Lightroom's previews and its catalogue's data."""

LIBRARIES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary")
"""Apple's photo libraries are folders; all that lies in one beside the originals was made from these."""

ORIGINALS = frozenset({"originals", "masters"})


def is_junk(folder: str) -> bool:
    """Whether a folder, by its path in the dataset, holds only what other programs made and will make again."""
    parent, _, name = folder.lower().rpartition("/")
    if parent.endswith(LIBRARIES) and name not in ORIGINALS:
        return True
    return name in JUNK_FOLDERS or name.endswith(JUNK_ENDINGS)


class Exclusions:
    """The rules by which paths of one dataset are left out.

    A pattern of the command line outweighs those of a folder's file, which outweigh those of the folders above it, and
    all of them outweigh what is junk; within one place the last that matches decides. What is left out as a folder is
    not entered, so nothing below it can be taken in again.

    Args:
        patterns: as in a ``.gitignore`` at the top of the dataset.

    Raises:
        UsageError: one of them is no pattern.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._given = _compiled(patterns, "--exclude") if patterns else None
        self._of_folder: dict[str, GitIgnoreSpec] = {}

    def read(self, root: Path, folder: str) -> None:
        """Take up the rules that a folder's own file says, which concern what lies below it.

        Raises:
            DatasetError: it cannot be read, so that nobody knows what it leaves out. UsageError: it holds no patterns.
        """
        path = root / folder / IGNORE_FILE
        try:
            lines = path.read_bytes().decode("utf-8-sig", "surrogateescape").splitlines()
        except OSError as error:
            reason = error.strerror or error
            raise DatasetError(
                f"cannot read {path}: {reason}; mend or remove it, for it says what to leave out"
            ) from error
        self._of_folder[folder] = _compiled(lines, str(path))

    def read_above(self, root: Path, path: str) -> None:
        """Take up the rules of all folders that a path lies in, where they have some; errors as of `read`."""
        folders = ["", *(path[:end] for end, letter in enumerate(path) if letter == "/")]
        for folder in folders:
            if (root / folder / IGNORE_FILE).exists():
                self.read(root, folder)

    def pattern_for(self, path: str, *, is_folder: bool) -> str | None:
        """The pattern that leaves out a path whose folder is not; empty where one takes it in, None where none is for
        it."""
        for spec, inside in self._specs(path):
            found = spec.check_file(f"{inside}/" if is_folder else inside)
            if found.include is not None and found.index is not None:
                return str(spec.patterns[found.index].pattern) if found.include else ""
        return None

    def leaves_out(self, path: str) -> bool:
        """Whether a file is left out, by itself or by a folder that it lies in."""
        ends = [end for end, letter in enumerate(path) if letter == "/"]
        return any(self._leaves_out_folder(path[:end]) for end in ends) or bool(self.pattern_for(path, is_folder=False))

    def _leaves_out_folder(self, folder: str) -> bool:
        pattern = self.pattern_for(folder, is_folder=True)
        return is_junk(folder) if pattern is None else bool(pattern)

    def _specs(self, path: str) -> Iterator[tuple[GitIgnoreSpec, str]]:
        """Those that may decide on a path, each with the path as it is seen from there; the weightiest first."""
        if self._given:
            yield self._given, path
        if not self._of_folder:
            return
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            if spec := self._of_folder.get(folder):
                yield spec, path[len(folder) + 1 :] if folder else path


def _compiled(lines: Sequence[str], where: str) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines, backend="simple")  # the others do not take names that are no UTF-8
    except ValueError as error:
        raise UsageError(f"{where}: {error}; patterns are written as in a .gitignore") from error
