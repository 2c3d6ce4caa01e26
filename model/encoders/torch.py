"""The torch side of every encoder: loading weights, the export to ONNX, running on CUDA.

Imported only by whoever needs torch: the first use of an encoder, and CUDA. It must not know any encoder by name.
"""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.encoders.base import CLASSES, Classifier, EncoderSpec, Features, check_pictures
from model.encoders.onnx import CLASSIFIER_FILE, ONNX_FILE
from model.encoders.registry import build_network
from model.encoders.torchvision import imagenet_class_names
from model.errors import WeightsError
from model.system.atomic import sha256_file
from model.system.cache import PASSING
from model.system.disk import need_space
from model.system.prepared import new_prepared_dir


class Framed(nn.Module):
    """The features network behind its own normalisation: framed uint8 pictures in, features out."""

    def __init__(self, spec: EncoderSpec, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(spec.framing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(spec.framing.std).view(1, 3, 1, 1))

    def normalise(self, pictures: torch.Tensor) -> torch.Tensor:
        """(n, side, side, 3) uint8 to (n, 3, side, side) float32, as torchvision's presets do."""
        scaled = pictures.permute(0, 3, 1, 2).to(torch.float32) / 255
        return (scaled - self.mean) / self.std  # type: ignore[operator]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network(self.normalise(pictures))
        return features


def load_network(spec: EncoderSpec, weights: Path) -> tuple[Framed, Classifier | None]:
    """Build the network, load a state dict strictly, and take it apart into features and last layer.

    Raises:
        WeightsError: the file is no state dict, or one of another network.
    """
    network = build_network(spec.name)
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True, mmap=_is_zip(weights))
        network.load_state_dict(state, strict=True, assign=True)
    except Exception as error:  # unpickling broken bytes raises every exception there is
        is_passing = isinstance(error, OSError) and error.errno in PASSING
        if is_passing or isinstance(error, MemoryError | PermissionError):
            raise WeightsError(f"cannot read {weights}: {error or 'not enough memory'}") from error
        no_state_dict = isinstance(error, pickle.UnpicklingError | EOFError)
        reason = "no state dict, or a truncated one" if no_state_dict else str(error) or type(error).__name__
        raise WeightsError(
            f"{weights} does not hold the weights of {spec.name}: {reason.splitlines()[0][:160]}"
        ) from error
    network.float().eval().requires_grad_(False)
    classifier = _take_classifier(network, spec) if spec.classifier else None
    return Framed(spec, network).eval(), classifier


def _take_classifier(network: nn.Module, spec: EncoderSpec) -> Classifier:
    """Read the last layer, and let features through in its place."""
    layer = network.get_submodule(spec.classifier).state_dict()
    # In C order: safetensors writes an array's memory as it lies, and in some files it lies transposed.
    weight, bias = (np.array(layer[name].numpy(), np.float32, order="C") for name in ("weight", "bias"))
    names = imagenet_class_names()
    if weight.shape != (CLASSES, spec.width) or len(names) != CLASSES:
        raise WeightsError(
            f"{spec.classifier} of {spec.name} has shape {weight.shape} and torchvision names {len(names)} classes: "
            f"{(CLASSES, spec.width)} expected"
        )
    parent, _, last = spec.classifier.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
    return Classifier(weight, bias, names)


def _is_zip(path: Path) -> bool:
    """Only torch's zip format can be memory-mapped; the one before 1.6 cannot, and VGG16's file is that."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def export(spec: EncoderSpec, weights: Path, sha256: str, folder: Path) -> None:
    """Write ``encoder.onnx`` and, where it has classes, ``classifier.safetensors`` into ``folder``, both or neither.

    Raises:
        WeightsError: the weights are not those of ``sha256``, or not of this network.
        DiskFull: no room for a second copy of the weights.
    """
    from safetensors.numpy import save_file

    found = sha256_file(weights)
    if found != sha256:
        raise WeightsError(f"{weights} has checksum {found[:8]}, {sha256[:8]} expected: fetch it again")
    need_space(folder, 2 * weights.stat().st_size)
    framed, classifier = load_network(spec, weights)
    with new_prepared_dir(folder) as temporary:
        export_onnx(framed, spec, temporary / ONNX_FILE)
        if classifier:
            save_file(
                {"weight": classifier.weight, "bias": classifier.bias},
                temporary / CLASSIFIER_FILE,
                {"classes": json.dumps(classifier.names), "encoder": spec.name, "sha256": sha256},
            )


def export_onnx(framed: Framed, spec: EncoderSpec, path: Path) -> None:
    """Trace the network to ONNX, opset 17, with a free batch size."""
    side = spec.framing.crop
    sample = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript and gives the same graph for these networks.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            framed,
            (sample,),
            str(path),
            input_names=["pictures"],
            output_names=["features"],
            dynamic_axes={"pictures": {0: "n"}, "features": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )


FEW = 8
"""So many a full batch is larger than the small one that the last views of several pictures go in."""


def cuda_available() -> bool:
    return torch.cuda.is_available()


class TorchEncoder:
    """An encoder on CUDA: channels last, half precision where autocast finds it safe.

    Half precision rounds, so its vectors are near the CPU's, not equal to them.
    """

    def __init__(self, spec: EncoderSpec, weights: Path, sha256: str, *, device: str = "cuda") -> None:
        self.spec = spec
        self.sha256 = sha256
        self.batch_size = spec.gpu_batch
        self.streams = 1  # its kernels queue up behind each other in any case
        self.device = device
        framed, self._classifier = load_network(spec, weights)
        self._framed = framed.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def classifier(self) -> Classifier | None:
        return self._classifier

    @torch.inference_mode()
    def encode(self, pictures: NDArray[np.uint8]) -> Features:
        check_pictures(pictures, self.spec)
        batch = torch.from_numpy(self._padded(pictures)).to(self.device, non_blocking=True)
        with torch.autocast(self.device, enabled=self.device == "cuda"):
            features = self._framed(batch)
        return np.asarray(features[: len(pictures)].float().cpu().numpy(), np.float32)

    def _padded(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """With black pictures after them, to one of two numbers: choosing kernels for a number of pictures that was not
        there before takes 1 to 2 s, a hundred times what encoding them takes."""
        count = len(pictures)
        size = self.batch_size // FEW if count <= self.batch_size // FEW else max(count, self.batch_size)
        return np.concatenate([pictures, np.zeros((size - count, *pictures.shape[1:]), np.uint8)])
