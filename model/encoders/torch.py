"""The torch side of an encoder: its architecture, its weights, its export to ONNX.

Imported only by whoever needs torch: the first use of an encoder, training, and CUDA.
"""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.encoders.base import (
    CLASSES,
    CLASSIFIER_FILE,
    ONNX_FILE,
    Classifier,
    EncoderSpec,
    Features,
    check_pictures,
)
from model.errors import WeightsError
from model.system.atomic import new_dir, sha256_file
from model.system.disk import need_space


def import_torchvision() -> Any:
    """torchvision, also where it was built for CUDA and torch was not.

    PyPI's torchvision registers fake kernels for two of its CUDA-built operators while it is imported, and
    beside a CPU-only torch those operators were never declared. Declaring them by hand, without a kernel,
    lets the import pass; nothing here calls them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its optional image library may be missing: Pillow reads our files
        try:
            import torchvision
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            for name in ("nms", "qnms"):
                schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                _operators.define(schema)  # type: ignore[no-untyped-call]
            import torchvision
    return torchvision


_operators = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]


def class_names() -> tuple[str, ...]:
    """The names of the ImageNet classes, in the order of the logits."""
    import_torchvision()
    from torchvision.models import VGG16_Weights

    return tuple(VGG16_Weights.IMAGENET1K_V1.meta["categories"])


def vgg16() -> nn.Module:
    """VGG16, configuration D of Simonyan and Zisserman 2015, without weights."""
    import_torchvision()
    from torchvision.models import vgg16 as build

    # Its default initialisation of 138 million numbers takes seconds and is thrown away.
    module: nn.Module = build(weights=None, init_weights=False)
    return module


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0: EfficientNet (Tan and Le 2019) without squeeze-and-excitation, with ReLU6."""
    from efficientnet_lite_pytorch import EfficientNet

    module: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return module


class VggFeatures(nn.Module):
    """Up to the ReLU after the second fully connected layer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.features, self.pool = network.features, network.avgpool
        self.hidden = network.classifier[:5]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.hidden(torch.flatten(self.pool(self.features(pictures)), 1))
        return hidden


class EfficientNetFeatures(nn.Module):
    """Up to the global average pool."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.network.extract_features(pictures)
        return maps.mean((2, 3))


ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], type[nn.Module], str]] = {
    "vgg16": (vgg16, VggFeatures, "classifier.6"),
    "efficientnet-lite0": (efficientnet_lite0, EfficientNetFeatures, "_fc"),
}
"""Name of an encoder: how to build the network, what part gives features, where its last layer is."""


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


def load_network(spec: EncoderSpec, weights: Path) -> tuple[Framed, Classifier]:
    """Build the network, load a state dict strictly, and take it apart into features and last layer.

    Raises:
        WeightsError: the file is no state dict, or one of another network.
    """
    build, features, last_layer = ARCHITECTURES[spec.name]
    network = build()
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True, mmap=_is_zip(weights))
        network.load_state_dict(state, strict=True, assign=True)
    except Exception as error:  # unpickling broken bytes raises every exception there is
        no_state_dict = isinstance(error, pickle.UnpicklingError | EOFError)
        reason = (
            "no state dict, or a truncated one"
            if no_state_dict
            else (str(error) or type(error).__name__).splitlines()[0]
        )
        raise WeightsError(f"{weights} does not hold the weights of {spec.name}: {reason[:160]}") from error
    network.float().eval().requires_grad_(False)
    layer = network.get_submodule(last_layer).state_dict()
    # In C order: safetensors writes an array's memory as it lies, and this file's lies transposed.
    classifier = Classifier(
        np.array(layer["weight"].numpy(), np.float32, order="C"),
        np.array(layer["bias"].numpy(), np.float32, order="C"),
        class_names(),
    )
    if len(classifier.names) != CLASSES:
        raise WeightsError(f"torchvision names {len(classifier.names)} ImageNet classes, {CLASSES} expected")
    return Framed(spec, features(network)).eval(), classifier


def _is_zip(path: Path) -> bool:
    """Only torch's zip format can be memory-mapped; the one before 1.6 cannot, and VGG16's file is that."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def export(spec: EncoderSpec, weights: Path, sha256: str, folder: Path) -> None:
    """Write ``encoder.onnx`` and ``classifier.safetensors`` into ``folder``, both or neither.

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
    with new_dir(folder) as temporary:
        export_onnx(framed, spec, temporary / ONNX_FILE)
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
        framed, self.classifier = load_network(spec, weights)
        self._framed = framed.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def encode(self, pictures: NDArray[np.uint8]) -> Features:
        check_pictures(pictures, self.spec)
        batch = torch.from_numpy(pictures).to(self.device, non_blocking=True)
        with torch.autocast(self.device, enabled=self.device == "cuda"):
            features = self._framed(batch)
        return np.asarray(features.float().cpu().numpy(), np.float32)

    def logits(self, features: Features) -> NDArray[np.float32]:
        return self.classifier.logits(features)
