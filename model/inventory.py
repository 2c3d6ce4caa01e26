"""What is here: encoders, word vectors, the cache, and the parameter table of DeViSE."""

from __future__ import annotations

import sys

from model.encoders import ENCODERS, ONNX_FILE, export_dir, installed_sha256
from model.pair import STANDARD
from model.pictures import heic_available
from model.projections import parameter_table
from model.system.cache import cache_dir
from model.system.disk import in_mb
from model.words import METADATA_FILE, WORDS, installed_words, words_dir

COLUMNS = "{:<20} {:<52} {:>12} {:>14}\n"


def write_info() -> None:
    """Write it all to stdout."""
    out = sys.stdout.write
    out("encoders\n")
    for encoder in ENCODERS.values():
        sha256 = installed_sha256(encoder)
        ready = bool(sha256) and (export_dir(encoder, sha256 or "") / ONNX_FILE).is_file()
        out(f"  {encoder.name:<18} {encoder.width:>5} wide  {_state(sha256, bool(encoder.package), ready)}")
        out(f"  {in_mb(encoder.remote.size) if encoder.remote else ''}  {encoder.licence}\n")
    out("words\n")
    for words in WORDS.values():
        sha256 = installed_words(words)
        ready = bool(sha256) and (words_dir(words.name, sha256 or "") / METADATA_FILE).is_file()
        out(f"  {words.name:<18} {words.width:>5} wide  {_state(sha256, bool(words.package), ready)}")
        out(f"  {in_mb(words.remote.size) if words.remote else ''}  {words.licence}\n")
    heic = "can be read" if heic_available() else "not installed: pip install pillow-heif"
    out(f"HEIC   {heic}\n")
    out(f"cache  {cache_dir()}\n\n")
    _write_parameters()


def _state(sha256: str | None, bundled: bool, ready: bool) -> str:
    if sha256 is None:
        return "not here: `model fetch` brings it"
    return f"{'bundled' if bundled else 'cached'} {sha256[:8]}, {'ready' if ready else 'made ready at first use'}"


def _write_parameters() -> None:
    out = sys.stdout.write
    encoder, words = ENCODERS[STANDARD.encoder], WORDS[STANDARD.words]
    rows = parameter_table(encoder, words.width)
    out(f"DeViSE on {encoder.name} and {words.name}\n")
    out(COLUMNS.format("layer", "shape", "trainable", "not trainable"))
    for row in rows:
        out(COLUMNS.format(row.layer, row.shape, f"{row.trainable:,}", f"{row.fixed:,}"))
    trainable, fixed = sum(row.trainable for row in rows), sum(row.fixed for row in rows)
    out(COLUMNS.format("total", f"{trainable + fixed:,}", f"{trainable:,}", f"{fixed:,}"))
