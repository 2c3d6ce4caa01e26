"""What is here: encoders, text spaces, the cache, and the parameter table of DeViSE."""

from __future__ import annotations

import sys

from model.encoders import EncoderSpec, encoder_spec, encoder_specs, installed_sha256, is_exported
from model.ocr import is_installed
from model.pair import STANDARD
from model.pictures import heic_available, raw_available, video_available
from model.projections import parameter_table
from model.system.cache import cache_dir
from model.system.disk import in_mb
from model.system.download import RemoteFile
from model.system.packages import REINSTALL, PackageFile
from model.words import TextSpaceSpec, installed_words, is_prepared, way_to, words_spec, words_specs

COLUMNS = "{:<20} {:<52} {:>12} {:>14}\n"


def write_info() -> None:
    """Write it all to stdout."""
    out = sys.stdout.write
    out("encoders\n")
    for encoder in encoder_specs():
        sha256 = installed_sha256(encoder)
        out(_line(encoder, sha256, bool(sha256) and is_exported(encoder, sha256 or "")))
    out("words\n")
    for space in words_specs():
        sha256 = installed_words(space)
        out(_line(space, sha256, bool(sha256) and is_prepared(space, sha256 or "")))
    for what, extra, is_read in (
        ("HEIC", "heic", heic_available()),
        ("raw files", "raw", raw_available()),
        ("videos", "video", video_available()),
        ("text in pictures", "ocr", is_installed()),
    ):
        state = "can be read" if is_read else f"not installed: pip install 'wordsight[{extra}]'"
        out(f"{what:<18} {state}\n")
    out(f"cache  {cache_dir()}\n\n")
    _write_parameters()


def _line(spec: EncoderSpec | TextSpaceSpec, sha256: str | None, ready: bool) -> str:
    if sha256:
        where = "bundled" if isinstance(spec.weights, PackageFile) else "cached"
        state = f"{where} {sha256[:8]}, {'ready' if ready else 'made ready at first use'}"
    elif isinstance(spec, TextSpaceSpec):
        state = f"not here: {way_to(spec)}"
    else:
        fetched = f"`model fetch --encoder {spec.name}` brings it"
        state = f"not here: {REINSTALL if isinstance(spec.weights, PackageFile) else fetched}"
    size = in_mb(spec.weights.size) if isinstance(spec.weights, RemoteFile) else ""
    return f"  {spec.name:<18} {spec.width:>5} wide  {state}  {size}  {spec.licence}\n"


def _write_parameters() -> None:
    out = sys.stdout.write
    encoder, words = encoder_spec(STANDARD.encoder), words_spec(STANDARD.words)
    rows = parameter_table(encoder, words.width)
    out(f"DeViSE on {encoder.name} and {words.name}\n")
    out(COLUMNS.format("layer", "shape", "trainable", "not trainable"))
    for row in rows:
        out(COLUMNS.format(row.layer, row.shape, f"{row.trainable:,}", f"{row.fixed:,}"))
    trainable, fixed = sum(row.trainable for row in rows), sum(row.fixed for row in rows)
    out(COLUMNS.format("total", f"{trainable + fixed:,}", f"{trainable:,}", f"{fixed:,}"))
