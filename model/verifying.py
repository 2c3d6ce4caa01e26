"""`model verify`: whether the models that came with the installation, and those in the cache, are what they were.

What is damaged in the cache is removed, and made again at once where it can be. It must not know what files hold.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model.encoders import EncoderSpec, encoder_specs, export_dir, installed_sha256, need_export, weights_file
from model.errors import WeightsError, WordsightError
from model.system.atomic import remove_at_once, sha256_file
from model.system.cache import cache_dir, cache_errors
from model.system.events import note, progress
from model.system.names import first_of
from model.system.packages import PackageFile
from model.system.prepared import CHECKSUMS_FILE, SHOWN_FILES, damaged_files
from model.system.terminal import results
from model.words import TextSpaceSpec, installed_words, open_words, words_dir, words_specs

KINDS = ("encoders", "words", "class-space")
"""Folders of the cache that hold what was prepared."""

AGAIN = "it was removed, and is made again when it is needed"


@dataclass(frozen=True, slots=True)
class Verified:
    """One thing that was read. ``problem``: empty where it is sound; ``mended``: what was done about it, or nothing."""

    what: str
    problem: str = ""
    mended: str = ""


def verify() -> list[Verified]:
    """Read them all, and mend what can be mended.

    Raises:
        CacheError: the cache cannot be read or written.
    """
    makers = {**_encoder_makers(), **_words_makers()}
    folders = [path for kind in KINDS for path in _prepared(cache_dir() / kind)]
    specs: list[EncoderSpec | TextSpaceSpec] = [*encoder_specs(), *words_specs()]
    with cache_errors(cache_dir()), progress("reading models", len(folders) + len(specs), unit="of them") as shown:
        found: list[Verified] = []
        for spec in specs:
            found += _published(spec)
            shown.advance()
        for folder in folders:
            found.append(_verify_prepared(folder, makers))
            shown.advance()
    return found


def write_verified(found: Sequence[Verified]) -> None:
    """A line a thing on stdout.

    Raises:
        WeightsError: something is damaged and could not be mended from here.
    """
    with results():
        for one in found:
            state = f"damaged: {one.problem}" if one.problem else "sound"
            sys.stdout.write(f"{one.what}: {state}{'; ' + one.mended if one.mended else ''}\n")
    if lost := [one.what for one in found if one.problem and not one.mended]:
        raise WeightsError(f"damaged, and not to be mended from here: {', '.join(lost)}: install it again with pip")


def _prepared(kind: Path) -> Iterator[Path]:
    """The folders of this format: those before had no checksums."""
    return iter(sorted(path for path in kind.glob("*-v*") if path.is_dir() and not path.name.startswith(".")))


def _encoder_makers() -> Mapping[Path, Callable[[], object]]:
    installed = [(spec, installed_sha256(spec)) for spec in encoder_specs()]
    return {export_dir(spec, sum_): partial(need_export, spec, sum_) for spec, sum_ in installed if sum_}


def _words_makers() -> Mapping[Path, Callable[[], object]]:
    installed = [(spec, installed_words(spec)) for spec in words_specs() if isinstance(spec.weights, PackageFile)]
    return {words_dir(spec.name, sum_): partial(open_words, spec.name, sum_) for spec, sum_ in installed if sum_}


def _verify_prepared(folder: Path, makers: Mapping[Path, Callable[[], object]]) -> Verified:
    what = f"{folder.parent.name}/{folder.name}"
    damaged = damaged_files(folder, thorough=True)
    if not damaged:
        return Verified(what)
    problem = f"{first_of(damaged, SHOWN_FILES)} missing or changed"
    remove_at_once(folder, CHECKSUMS_FILE)
    if folder not in makers:
        return Verified(what, problem, AGAIN)
    try:
        makers[folder]()
    except WordsightError as error:
        note(str(error))
        return Verified(what, problem, AGAIN)
    return Verified(what, problem, "it was made again")


def _published(spec: EncoderSpec | TextSpaceSpec) -> Iterator[Verified]:
    """The file as it was published, where it is here: in its package, or weights in the cache."""
    if isinstance(spec.weights, PackageFile):
        if spec.weights.is_installed and sha256_file(spec.weights.path) != spec.sha256:
            yield Verified(spec.name, f"{spec.weights.path} is not the file that was published")
        elif spec.weights.is_installed:
            yield Verified(spec.name)
    elif isinstance(spec, EncoderSpec) and (sha256 := installed_sha256(spec)):
        path = weights_file(spec, sha256)
        if sha256_file(path) == sha256:
            yield Verified(spec.name)
        else:
            remove_at_once(path.parent)
            yield Verified(
                spec.name, f"{path} was changed", f"it was removed; `model fetch --encoder {spec.name}` brings it"
            )
