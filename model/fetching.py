"""Bringing encoders and text spaces into the cache: downloaded, or handed over as files. It must not choose them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from model.encoders import (
    EncoderSpec,
    encoder_spec,
    export_dir,
    installed_sha256,
    is_exported,
    need_export,
    prepare,
    weights_dir,
    weights_file,
)
from model.errors import UsageError, WeightsError
from model.system.atomic import new_dir, sha256_file
from model.system.cache import cache_dir, cache_errors, put_in_use
from model.system.disk import in_mb, need_space
from model.system.download import RemoteFile, download
from model.system.events import note, progress
from model.system.packages import PackageFile
from model.words import TextSpaceSpec, install_words, installed_words, open_words, words_spec


def fetch_pair(encoder: str = "", words: str = "") -> None:
    """Download what is missing of an encoder and of a text space, and make it ready; an empty name is left out.

    Raises:
        UsageError: no such name.
        WeightsError: unreachable, or not what was published.
        CacheError, DiskFull: the cache cannot take it.
    """
    encoders = [encoder_spec(encoder)] if encoder else []
    spaces = [words_spec(words)] if words else []
    with _one_fetch_at_a_time():
        for spec in encoders:
            _fetch_encoder(spec)
        for space in spaces:
            _fetch_words(space)
        files = [spec.weights for spec in encoders if isinstance(spec.weights, RemoteFile)]
        for remote in [*files, *(one for space in spaces for one in space.published)]:
            _downloaded(remote).unlink(missing_ok=True)  # what a run left that was killed here, too


def _fetch_encoder(spec: EncoderSpec) -> None:
    sha256 = installed_sha256(spec)
    if isinstance(spec.weights, RemoteFile) and not sha256:
        path = _fetch(spec.weights, f"{spec.name} weights")
        install_weights(spec, path, spec.sha256, link=True)
    else:
        need_export(spec, sha256 or "")


def _fetch_words(spec: TextSpaceSpec) -> None:
    if not spec.published or installed_words(spec):
        open_words(spec.name)
    else:
        source, *_ = [_fetch(remote, f"{remote.name} of {spec.name}") for remote in spec.published]
        _install_words(spec, source, spec.sha256)


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


def hand_over_weights(encoder: str, path: Path, *, unverified: bool = False) -> str:
    """Take a file with an encoder's weights into the cache; returns its SHA-256.

    Raises:
        UsageError: no such file or encoder, or one whose weights come in a package.
        WeightsError: not the published file, unless ``unverified``; not this encoder's weights in any case.
    """
    spec = encoder_spec(encoder)
    sha256 = _verified(path, spec, unverified)
    install_weights(spec, path, sha256)
    return sha256


def hand_over_words(words: str, path: Path, *, unverified: bool = False) -> str:
    """Take the published file of a text space, or what lies in it, into the cache; returns its SHA-256.

    Raises:
        UsageError: no such file or text space, or one that comes in a package.
        WeightsError: not the published file, unless ``unverified``; not such a text space in any case.
    """
    spec = words_spec(words)
    sha256 = _verified(path, spec, unverified)
    _install_words(spec, path, sha256)
    return sha256


def _verified(path: Path, spec: EncoderSpec | TextSpaceSpec, unverified: bool) -> str:
    if isinstance(spec.weights, PackageFile):
        raise UsageError(f"{spec.name} comes with the installation, and takes no file: leave {path} out")
    try:
        sha256 = sha256_file(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if sha256 != spec.sha256 and not unverified:
        raise WeightsError(
            f"{path} has checksum {sha256[:8]}, the published file of {spec.name} {spec.sha256[:8]}: fetch it again, "
            "or pass --unverified to use it as it is"
        )
    return sha256


def install_weights(spec: EncoderSpec, source: Path, sha256: str, *, link: bool = False) -> None:
    """Copy a weights file into the cache, or link it, where it is there already; export it, make it the one in use.

    Raises:
        WeightsError: not this encoder's weights; the ones before stay in use.
    """
    folder = export_dir(spec, sha256)
    if not is_exported(spec, sha256):
        prepare(spec, source, sha256)
    with cache_errors(folder):
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


def _install_words(spec: TextSpaceSpec, source: Path, sha256: str) -> None:
    with progress(f"reading {spec.name}", spec.size(source), in_bytes=True) as shown:
        advance: Callable[[int], None] = shown.advance
        install_words(spec, source, sha256, advance)
