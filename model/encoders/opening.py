"""From a name to an encoder that runs: on CUDA by torch, else on ONNX Runtime from an export made at first use."""

from __future__ import annotations

import os
from pathlib import Path

from model.encoders.base import Encoder, EncoderSpec
from model.encoders.onnx import ONNX_FILE, OnnxEncoder
from model.encoders.registry import encoder_spec
from model.encoders.weights import export_dir, installed_sha256, need_weights
from model.errors import UsageError
from model.system.cache import cache_errors
from model.system.events import note
from model.system.prepared import discard_damaged

DEVICES = ("auto", "cpu", "cuda")

MAX_STREAMS = 4
"""Batches encoded at once at most, for the memory each takes; more cores than that share the work of each."""


def open_encoder(name: str, sha256: str = "", *, framing: str = "", device: str = "cpu", many: bool = False) -> Encoder:
    """The encoder of that name and checksum, exported first where that was not done yet.

    Args:
        sha256: of the weights; empty for the ones installed.
        framing: the rule by which a collection's pictures are framed; empty for the encoder's own.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is one.
        many: for many pictures through `model.encoders.embedding.embed`, rather than for one as soon as possible.

    Raises:
        UsageError: no such encoder or framing, or CUDA asked for where there is none.
        WeightsError: the weights are not here, or are not those.
    """
    spec = encoder_spec(name).framed_by(framing)
    if device not in DEVICES:
        raise UsageError(f"no device {device!r}: there are {', '.join(DEVICES)}")
    sha256 = sha256 or installed_sha256(spec) or ""
    if device != "cpu" and _maybe_cuda(device):
        from model.encoders.torch import TorchEncoder, cuda_available

        if cuda_available():
            return TorchEncoder(spec, need_weights(spec, sha256), sha256)
        if device == "cuda":
            raise UsageError("there is no CUDA device that this torch can use: leave --device cuda out")
    need_export(spec, sha256)
    return OnnxEncoder(
        spec, sha256, export_dir(spec, sha256), streams=min(MAX_STREAMS, os.cpu_count() or 1) if many else 1
    )


def need_export(spec: EncoderSpec, sha256: str) -> None:
    """Export the weights of that checksum where that was not done yet, and again where it was damaged since.

    Raises:
        WeightsError: the weights are not here, or are not those.
        CacheError, DiskFull: the cache cannot take it.
    """
    discard_damaged(export_dir(spec, sha256))
    if not is_exported(spec, sha256):
        prepare(spec, need_weights(spec, sha256), sha256)


def is_exported(spec: EncoderSpec, sha256: str) -> bool:
    """Whether the encoder with those weights can run without torch."""
    return (export_dir(spec, sha256) / ONNX_FILE).is_file()


def prepare(spec: EncoderSpec, weights: Path, sha256: str) -> None:
    """Export ``weights`` into the cache.

    Raises:
        WeightsError: they are not this encoder's, or not those of that checksum.
        CacheError, DiskFull: the cache cannot take it.
    """
    from model.encoders.torch import export

    folder = export_dir(spec, sha256)
    note(f"preparing {spec.name} for this machine (once)")
    with cache_errors(folder):
        export(spec, weights, sha256, folder)


def _maybe_cuda(device: str) -> bool:
    """Whether importing torch to look for CUDA is worth its seconds."""
    return device == "cuda" or Path("/proc/driver/nvidia").exists()
