"""Which encoder goes with which word vectors, and bringing the standard pair into the cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model.encoders import (
    BUNDLED_ENCODER,
    STANDARD_ENCODER,
    EncoderSpec,
    encoder_spec,
    export_dir,
    installed_sha256,
    weights_dir,
    weights_file,
)
from model.errors import CacheError, UsageError, WeightsError
from model.system.atomic import new_dir, sha256_file
from model.system.cache import cache_dir, cache_errors, put_in_use
from model.system.disk import in_mb, need_space
from model.system.download import RemoteFile, download
from model.system.events import note, progress
from model.words import BUNDLED_WORDS, STANDARD_WORDS, WordsSpec, install_words, installed_words, text_size, words_spec


@dataclass(frozen=True, slots=True)
class Pair:
    """The names of an encoder and of word vectors that are both here."""

    encoder: str
    words: str


BUNDLED = Pair(BUNDLED_ENCODER, BUNDLED_WORDS)
STANDARD = Pair(STANDARD_ENCODER, STANDARD_WORDS)
AUTO = "auto"


def choose_pair(encoder: str = AUTO, words: str = AUTO, *, offline: bool = False) -> Pair:
    """The pair a new collection gets.

    ``auto`` is the standard pair where it is in the cache or can be fetched, else the bundled one, which is
    said once; a name is taken as it is.

    Raises:
        UsageError: no such name.
        WeightsError: the one named is not here.
    """
    if encoder == AUTO and words == AUTO:
        return _standard_or_bundled(offline)
    if encoder == AUTO:
        encoder = STANDARD.encoder if installed_sha256(encoder_spec(STANDARD.encoder)) else BUNDLED.encoder
    if words == AUTO:
        standard = encoder == STANDARD.encoder and installed_words(words_spec(STANDARD.words))
        words = STANDARD.words if standard else BUNDLED.words
    if not installed_sha256(encoder_spec(encoder)):
        raise WeightsError(f"no weights of {encoder} here: `model fetch` brings them")
    if not installed_words(words_spec(words)):
        raise WeightsError(f"no word vectors {words} here: `model fetch` brings them")
    return Pair(encoder, words)


def _standard_or_bundled(offline: bool) -> Pair:
    if standard_is_here():
        return STANDARD
    if offline:
        return BUNDLED
    try:
        fetch_standard()
    except (WeightsError, CacheError) as error:
        note(
            f"the standard pair cannot be had ({error}); going on with the bundled {BUNDLED.encoder} and "
            f"{BUNDLED.words} (--offline skips this try)"
        )
        return BUNDLED
    return STANDARD


def standard_is_here() -> bool:
    """Whether both halves of the standard pair are in the cache."""
    weights = installed_sha256(encoder_spec(STANDARD.encoder))
    return bool(weights and installed_words(words_spec(STANDARD.words)))


def fetch_standard() -> None:
    """Download what is missing of the standard pair and make it ready.

    Raises:
        WeightsError: unreachable, or not what was published.
        CacheError, DiskFull: the cache cannot take it.
    """
    encoder, words = encoder_spec(STANDARD.encoder), words_spec(STANDARD.words)
    with _one_fetch_at_a_time():
        if encoder.remote and not installed_sha256(encoder):
            path = _fetch(encoder.remote, f"{encoder.name} weights")
            install_weights(encoder, path, encoder.remote.sha256, link=True)
        if words.remote and not installed_words(words):
            path = _fetch(words.remote, f"{words.name} word vectors")
            _install_words(words, path, words.remote.sha256)
        for remote in filter(None, (encoder.remote, words.remote)):  # those of a run that was killed here too
            _downloaded(remote).unlink(missing_ok=True)


@contextmanager
def _one_fetch_at_a_time() -> Iterator[None]:
    import portalocker

    path = cache_dir() / "fetch.lock"
    with cache_errors(cache_dir()):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            raise WeightsError("another process is fetching: wait for it, or stop it") from None
        yield


def _downloaded(remote: RemoteFile) -> Path:
    return cache_dir() / "downloads" / remote.name


def _fetch(remote: RemoteFile, what: str) -> Path:
    target = _downloaded(remote)
    if not target.exists():
        note(f"fetching the {what}: {remote.url}, {in_mb(remote.size)}")
        with progress(what, remote.size, in_bytes=True) as shown:
            download(remote, target, advance=shown.advance)
    return target


def hand_over_weights(path: Path, *, unverified: bool = False) -> str:
    """Take a file with VGG16's weights into the cache; returns its SHA-256.

    Raises:
        UsageError: no such file.
        WeightsError: not the published file, unless ``unverified``; not VGG16's weights in any case.
    """
    spec = encoder_spec(STANDARD.encoder)
    sha256 = _verified(path, spec.sha256, spec.name, unverified)
    install_weights(spec, path, sha256)
    return sha256


def hand_over_words(path: Path, *, unverified: bool = False) -> str:
    """Take ``glove.6B.zip``, or its 300-number text file, into the cache; returns its SHA-256.

    Raises:
        UsageError: no such file.
        WeightsError: not the published zip, unless ``unverified``; no such text in any case.
    """
    spec = words_spec(STANDARD.words)
    sha256 = _verified(path, spec.sha256, spec.name, unverified)
    _install_words(spec, path, sha256)
    return sha256


def _verified(path: Path, expected: str, name: str, unverified: bool) -> str:
    try:
        sha256 = sha256_file(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if sha256 != expected and not unverified:
        raise WeightsError(
            f"{path} has checksum {sha256[:8]}, the published file of {name} {expected[:8]}: fetch it again, or "
            "pass --unverified to use it as it is"
        )
    return sha256


def install_weights(spec: EncoderSpec, source: Path, sha256: str, *, link: bool = False) -> None:
    """Copy a weights file into the cache, or link it, where it is there already; export it, make it the one in use.

    Raises:
        WeightsError: not this encoder's weights; the ones before stay in use.
    """
    from model.encoders import ONNX_FILE
    from model.encoders.torch import export

    folder = export_dir(spec, sha256)
    with cache_errors(folder):
        if not (folder / ONNX_FILE).is_file():
            note(f"preparing {spec.name} for this machine (once)")
            export(spec, source, sha256, folder)
        if not weights_file(spec, sha256).is_file():
            need_space(folder, 0 if link else source.stat().st_size)
            with new_dir(weights_dir(spec, sha256)) as temporary:
                (_link if link else shutil.copyfile)(source, temporary / "weights.pth")
        put_in_use("weights", spec.name, sha256, source.name)


def _link(source: Path, target: Path) -> None:
    """Not moved: a kill before the target has its name would cost the download."""
    try:
        os.link(source, target)
    except OSError:  # no links on this file system
        shutil.copyfile(source, target)


def _install_words(spec: WordsSpec, source: Path, sha256: str) -> None:
    with progress(f"reading {spec.name}", text_size(source, spec), in_bytes=True) as shown:
        advance: Callable[[int], None] = shown.advance
        install_words(spec, source, sha256, advance)
