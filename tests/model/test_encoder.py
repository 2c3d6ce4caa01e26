"""Encoders: exported to ONNX they give what torch gives.

Published weights may be out of reach, so VGG16 and ResNet50 run here on random ones of a set seed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from model.encoders import (
    Encoder,
    EncoderSpec,
    OnnxEncoder,
    class_names,
    encoder_names,
    encoder_spec,
    need_classifier,
)
from model.encoders.onnx import CLASSIFIER_FILE, read_classifier
from model.encoders.registry import build_network
from model.encoders.torch import TorchEncoder, export, load_network
from model.errors import UsageError, WeightsError
from model.pictures.framing import frame
from model.system.atomic import sha256_file
from tests.model.encoders import LITE0, VGG16, Exported, bundled, some_pictures


def random_network(spec: EncoderSpec, path: Path) -> nn.Module:
    """The spec's network with weights of a scale that carries a signal to the end (He et al. 2015), and so on disk."""
    network = build_network(spec.name)
    dice = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1, generator=dice)
            elif parameter.dim() > 1:  # a normalisation's scale stays 1
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5, generator=dice)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1, generator=dice)
            elif name.endswith("running_var"):
                buffer.uniform_(1, 4, generator=dice)  # else the sums of 16 blocks would grow beyond measure
    state = network.state_dict()
    # As the bundled encoder's file has it: the last layer lies transposed in memory.
    state[f"{spec.classifier}.weight"] = state[f"{spec.classifier}.weight"].t().contiguous().t()
    torch.save(state, path)
    return network.eval()


def exported_at_random(spec: EncoderSpec, folder: Path) -> Exported:
    weights = folder / "weights.pth"
    network = random_network(spec, weights)
    sha256 = sha256_file(weights)
    export(spec, weights, sha256, folder / "exported")
    return Exported(OnnxEncoder(spec, sha256, folder / "exported"), network, weights)


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """Some twenty seconds: half a gigabyte is drawn, written, read and written again."""
    folder = tmp_path_factory.mktemp("vgg16")
    yield exported_at_random(VGG16, folder)
    shutil.rmtree(folder)  # pytest would keep a gigabyte


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("resnet50")
    yield exported_at_random(encoder_spec("resnet50"), folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def lite0(encoder: Encoder) -> Exported:
    return bundled(encoder)


@pytest.fixture(params=["lite0", "resnet50", "vgg16"])
def exported(request: pytest.FixtureRequest) -> Exported:
    return request.getfixturevalue(request.param)


def torchs_own(exported: Exported, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The logits of the whole network, by nothing of this project but the numbers of the framing."""
    framing = exported.onnx.spec.framing
    scaled = pictures.astype(np.float32) / 255
    normal = (scaled - np.float32(framing.mean)) / np.float32(framing.std)
    with torch.inference_mode():
        logits = exported.network(torch.from_numpy(normal.transpose(0, 3, 1, 2).copy()))
    return np.asarray(logits)


# What comes out


def test_the_features_are_as_wide_as_the_spec_says_and_not_trivial(exported: Exported) -> None:
    features = exported.onnx.encode(some_pictures())
    assert features.shape == (3, exported.onnx.spec.width)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert (features.std(axis=1) > 0.05).all()
    assert np.abs(features[0] - features[1]).max() > 0.1


def test_every_encoder_is_tried_here() -> None:
    assert encoder_names() == ["efficientnet-lite0", "resnet50", "vgg16"]


def test_onnx_gives_what_torch_gives(exported: Exported) -> None:
    pictures = some_pictures()
    torch_encoder = TorchEncoder(exported.onnx.spec, exported.weights, exported.onnx.sha256, device="cpu")
    ours, theirs = exported.onnx.encode(pictures), torch_encoder.encode(pictures)
    assert theirs.dtype == np.float32
    assert np.abs(ours - theirs).max() < 1e-4


def test_on_cuda_batches_are_of_two_sizes(lite0: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_encoder = TorchEncoder(lite0.onnx.spec, lite0.weights, lite0.onnx.sha256, device="cpu")
    monkeypatch.setattr(torch_encoder, "batch_size", 16)
    forward, sizes = torch_encoder._framed.forward, []

    def noted(pictures: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pictures))
        return forward(pictures)

    monkeypatch.setattr(torch_encoder._framed, "forward", noted)
    three = some_pictures()
    alone = lite0.onnx.encode(three)
    for pictures in (three[:1], three[:2], three):
        found = torch_encoder.encode(pictures)
        assert np.abs(found - alone[: len(pictures)]).max() < 1e-4
    assert sizes == [2, 2, 16]


def test_logits_are_the_whole_networks_own(exported: Exported) -> None:
    pictures = some_pictures()
    theirs = torchs_own(exported, pictures)
    ours = need_classifier(exported.onnx).logits(exported.onnx.encode(pictures))
    assert ours.shape == (3, 1000)
    assert ours.std() > 0.1
    assert np.abs(ours - theirs).max() < 1e-3
    assert (ours.argsort(axis=1)[:, -5:] == theirs.argsort(axis=1)[:, -5:]).all()


def test_vgg16s_features_are_after_the_second_relu(vgg16: Exported) -> None:
    features = vgg16.onnx.encode(some_pictures())
    assert features.min() == 0
    assert 0.2 < (features == 0).mean() < 0.8


def test_the_classifier_comes_back_as_it_is_in_the_weights(exported: Exported) -> None:
    """Its file once held them transposed: safetensors writes memory as it lies, whatever the strides."""
    state = torch.load(exported.weights, map_location="cpu", weights_only=True)
    assert not state[f"{exported.onnx.spec.classifier}.weight"].is_contiguous()  # else this proves nothing
    classifier = read_classifier(exported.onnx.folder / CLASSIFIER_FILE)
    assert np.array_equal(classifier.weight, state[f"{exported.onnx.spec.classifier}.weight"].numpy())
    assert np.array_equal(classifier.bias, state[f"{exported.onnx.spec.classifier}.bias"].numpy())
    assert classifier.weight.shape == (1000, exported.onnx.spec.width)


def test_there_are_a_thousand_class_names_in_imagenets_order(exported: Exported) -> None:
    names = class_names(exported.onnx)
    assert len(names) == 1000
    assert (names[0], names[281], names[999]) == ("tench", "tabby", "toilet tissue")


def test_a_picture_gets_the_same_vector_alone_and_in_any_batch(exported: Exported) -> None:
    pictures = some_pictures(2)
    together = exported.onnx.encode(pictures)
    alone = np.concatenate([exported.onnx.encode(picture[None]) for picture in pictures])
    assert np.abs(together - alone).max() < 1e-4
    assert np.abs(together[::-1] - exported.onnx.encode(pictures[::-1])).max() < 1e-4


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((1, 224, 224, 3), np.float32),
        np.zeros((1, 3, 224, 224), np.uint8),
        np.zeros((224, 224, 3), np.uint8),
        np.zeros((1, 256, 256, 3), np.uint8),
    ],
    ids=["float", "channels-first", "no-batch", "other-size"],
)
def test_pictures_of_another_shape_are_a_mistake_of_the_caller(encoder: Encoder, pictures: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"takes \(n, 224, 224, 3\) uint8"):
        encoder.encode(pictures)


def test_a_real_cat_is_seen_as_a_cat(encoder: Encoder) -> None:
    data = pytest.importorskip("skimage.data")
    cat = Image.fromarray(data.chelsea())
    (logits,) = need_classifier(encoder).logits(encoder.encode(frame(cat, encoder.spec.framing)))
    best = class_names(encoder)[int(logits.argmax())]
    assert best in ("tabby", "tiger cat", "Egyptian cat", "Persian cat", "Siamese cat")


def test_a_real_cup_of_coffee_is_seen_as_one(encoder: Encoder) -> None:
    data = pytest.importorskip("skimage.data")
    coffee = Image.fromarray(data.coffee())
    (logits,) = need_classifier(encoder).logits(encoder.encode(frame(coffee, encoder.spec.framing)))
    best = [class_names(encoder)[row] for row in logits.argsort()[-3:]]
    assert "espresso" in best


@pytest.mark.parametrize("name", encoder_names())
def test_the_parameters_of_the_spec_are_those_of_the_torch_network(name: str) -> None:
    spec = encoder_spec(name)
    with torch.device("meta"):
        network = build_network(name)
    last = sum(parameter.numel() for parameter in network.get_submodule(spec.classifier).parameters())
    counted = sum(parameter.numel() for parameter in network.parameters())
    counted += sum(buffer.numel() for label, buffer in network.named_buffers() if "num_batches" not in label)
    assert spec.parameters == counted - last


# Without classes


def test_an_encoder_without_classes_has_no_classifier_and_says_what_to_do(lite0: Exported, tmp_path: Path) -> None:
    bare = replace(LITE0, classifier="")
    with pytest.raises(WeightsError, match="does not hold the weights"):
        export(replace(VGG16, classifier=""), lite0.weights, LITE0.sha256, tmp_path / "vgg16")
    shutil.copytree(lite0.onnx.folder, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    encoder = OnnxEncoder(bare, LITE0.sha256, tmp_path / "bare")
    assert encoder.encode(some_pictures(1)).shape == (1, 1280)
    assert encoder.classifier is None
    assert class_names(encoder) == ()
    with pytest.raises(UsageError, match=r"efficientnet-lite0 has no classes of its own.*--recipe document"):
        need_classifier(encoder)


def test_a_classifier_of_another_shape_than_the_spec_says_is_refused(lite0: Exported, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"_fc of efficientnet-lite0 has .*\(1000, 1280\).*\(1000, 999\) expected"):
        load_network(replace(LITE0, width=999), lite0.weights)


# Without torch


def test_running_an_exported_encoder_imports_no_torch(encoder: Encoder) -> None:
    code = """
import sys
import numpy as np
from model.encoders import class_names, need_classifier, open_encoder
encoder = open_encoder("efficientnet-lite0")
features = encoder.encode(np.zeros((2, 224, 224, 3), np.uint8))
print(features.shape, need_classifier(encoder).logits(features).shape, class_names(encoder)[0])
print([name for name in ("torch", "torchvision", "efficientnet_lite_pytorch") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["(2, 1280) (2, 1000) tench", "[]"]


def test_importing_the_encoder_imports_neither_torch_nor_onnxruntime() -> None:
    code = "import sys, model.encoders, model.projections, model.projections.training; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "torchvision", "onnxruntime"} & set(ran.stdout.split())
