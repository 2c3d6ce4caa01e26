"""Which text spaces there are, and opening one. Each registers itself, in a file of its own, unknown here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model.errors import WeightsError
from model.system.cache import cache_errors, in_use, put_in_use
from model.system.events import note, progress
from model.system.packages import REINSTALL, PackageFile
from model.system.prepared import discard_damaged, is_sealed, prepared_dir, seal
from model.system.registry import Registry
from model.words.base import TextSpace, TextSpaceSpec
from model.words.vectors import Words

PREPARED_VERSION = 1
"""Counts up when what a prepared text space holds, or how it is made, changes."""

_spaces: Registry[TextSpaceSpec] = Registry("text space")


def register(spec: TextSpaceSpec) -> None:
    """Add a text space.

    Raises:
        ValueError: the name is taken.
    """
    _spaces.add(spec.name, spec)


def unregister(name: str) -> None:
    """Forget a text space, such as one that a test made up."""
    _spaces.remove(name)


def words_names() -> list[str]:
    """Sorted."""
    return _spaces.names()


def words_specs() -> list[TextSpaceSpec]:
    """Sorted by name."""
    return [_spaces[name] for name in _spaces.names()]


def words_spec(name: str) -> TextSpaceSpec:
    """The text space of that name.

    Raises:
        UsageError: there is none.
    """
    return _spaces[name]


def words_dir(name: str, sha256: str) -> Path:
    return prepared_dir("words", name, sha256, PREPARED_VERSION)


def is_prepared(spec: TextSpaceSpec, sha256: str) -> bool:
    """Whether it can be opened at once."""
    return words_dir(spec.name, sha256).is_dir()


def installed_words(spec: TextSpaceSpec) -> str | None:
    """The checksum of the text space that is ready to be used, or None."""
    if isinstance(spec.weights, PackageFile):
        return spec.sha256 if spec.weights.is_installed or is_prepared(spec, spec.sha256) else None
    sha256 = in_use("words", spec.name)
    return sha256 if sha256 and is_prepared(spec, sha256) else None


def open_words(name: str, sha256: str = "") -> TextSpace:
    """The text space of that name and checksum, made ready first where it comes in a package.

    Raises:
        UsageError: no such name.
        WeightsError: it is not here.
    """
    spec = words_spec(name)
    sha256 = sha256 or installed_words(spec) or ""
    discard_damaged(words_dir(name, sha256))
    if not is_prepared(spec, sha256):
        package = spec.weights if isinstance(spec.weights, PackageFile) and spec.weights.is_installed else None
        if package is None or sha256 != spec.sha256:
            which = f" with checksum {sha256[:8]}" if sha256 else ""
            raise WeightsError(f"the text space {name}{which} is not here: {_way_out(spec)}")
        note(f"preparing the text space {name} (once)")
        with progress(f"preparing {name}", spec.size(package.path), in_bytes=True) as shown:
            advance: Callable[[int], None] = shown.advance
            _prepare(spec, package.path, sha256, advance)
    return spec.open(words_dir(name, sha256))


def way_to(spec: TextSpaceSpec) -> str:
    """What to do about a text space that is not here."""
    fetch = f"`model fetch --words-space {spec.name}` brings it"
    if isinstance(spec.weights, PackageFile):
        return f"{REINSTALL}, or {fetch}" if spec.published else REINSTALL
    return fetch


def _way_out(spec: TextSpaceSpec) -> str:
    if isinstance(spec.weights, PackageFile) and spec.weights.is_installed:
        return f"this version comes with {spec.sha256[:8]}, with which a folder can be ingested under another name"
    return way_to(spec)


def open_carried_words(name: str, folder: Path) -> TextSpace:
    """The text space that a snapshot carries; one whose name is not registered (any more) must be a table of words.

    Raises:
        WeightsError: the folder is damaged.
    """
    return _spaces[name].open(folder) if name in _spaces else Words(folder)


def install_words(spec: TextSpaceSpec, source: Path, sha256: str, advance: Callable[[int], None]) -> None:
    """Make a text space ready from a file, and the one in use.

    Args:
        sha256: of ``source``, which from now on names this set.
        advance: called with how many more bytes were read.

    Raises:
        WeightsError: the file is broken, or is something else; the set in use before stays.
        CacheError, DiskFull: the cache cannot take it.
    """
    discard_damaged(words_dir(spec.name, sha256))
    if not is_prepared(spec, sha256):
        _prepare(spec, source, sha256, advance)
    with cache_errors(words_dir(spec.name, sha256)):
        put_in_use("words", spec.name, sha256, source.name)


def _prepare(spec: TextSpaceSpec, source: Path, sha256: str, advance: Callable[[int], None]) -> None:
    folder = words_dir(spec.name, sha256)
    with cache_errors(folder):
        spec.prepare(source, sha256, folder, advance)
        if not is_sealed(folder):  # a space of others makes its folder as it likes
            seal(folder)
