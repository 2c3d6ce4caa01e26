"""Encoders: exported to ONNX they give what torch gives, and nothing but the right weights is taken.

VGG16's published weights are half a gigabyte, so its architecture runs here on random ones of a set seed.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from torch import nn

from model import architecture
from model.architecture import ARCHITECTURES, TorchEncoder, export, load_network
from model.cache import sha256_file
from model.encoder import (
    BUNDLED_ENCODER,
    CLASSES,
    CLASSIFIER_FILE,
    ENCODERS,
    ONNX_FILE,
    STANDARD_ENCODER,
    Encoder,
    OnnxEncoder,
    encoder_spec,
    export_dir,
    installed_sha256,
    open_encoder,
    read_classifier,
    weights_file,
)
from model.errors import UsageError, WeightsError
from model.picture import frame

LITE0, VGG16 = ENCODERS[BUNDLED_ENCODER], ENCODERS[STANDARD_ENCODER]


@dataclass(frozen=True)
class Exported:
    """An encoder as the product runs it, beside the whole torch network its weights come from."""

    onnx: OnnxEncoder
    network: nn.Module
    weights: Path
    last_layer: str


def random_vgg16(path: Path) -> nn.Module:
    """VGG16 with weights of a scale that carries a signal to the end (He et al. 2015), written to ``path``."""
    network = architecture.vgg16()
    dice = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1, generator=dice)
            else:
                fan_in = parameter[0].numel()
                parameter.normal_(0, (2 / fan_in) ** 0.5, generator=dice)
    state = network.state_dict()
    # As the bundled encoder's file has it: the last layer lies transposed in memory.
    state["classifier.6.weight"] = state["classifier.6.weight"].t().contiguous().t()
    torch.save(state, path)
    return network.eval()


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """Some twenty seconds: half a gigabyte is drawn, written, read and written again."""
    folder = tmp_path_factory.mktemp("vgg16")
    weights = folder / "weights.pth"
    network = random_vgg16(weights)
    sha256 = sha256_file(weights)
    export(VGG16, weights, sha256, folder / "exported")
    yield Exported(OnnxEncoder(VGG16, sha256, folder / "exported"), network, weights, "classifier.6")
    shutil.rmtree(folder)  # pytest would keep a gigabyte


@pytest.fixture(scope="module")
def lite0(encoder: Encoder) -> Exported:
    assert isinstance(encoder, OnnxEncoder)
    weights = weights_file(LITE0, LITE0.sha256)
    network = architecture.efficientnet_lite0()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return Exported(encoder, network.eval(), weights, "_fc")


@pytest.fixture(params=ENCODERS)
def exported(request: pytest.FixtureRequest) -> Exported:
    return request.getfixturevalue({LITE0.name: "lite0", VGG16.name: "vgg16"}[request.param])


def some_pictures(count: int = 3) -> NDArray[np.uint8]:
    """Framed pictures: noise in blocks, from coarse to fine, so that each looks different."""
    rng = np.random.default_rng(0)
    blocks = [112, 32, 8, 4, 2][:count]
    noise = [rng.integers(0, 256, (224 // block, 224 // block, 3), dtype=np.uint8) for block in blocks]
    return np.stack([small.repeat(block, 0).repeat(block, 1) for small, block in zip(noise, blocks, strict=True)])


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


def test_the_widths_are_those_of_the_published_networks() -> None:
    assert {spec.name: spec.width for spec in ENCODERS.values()} == {"vgg16": 4096, "efficientnet-lite0": 1280}


def test_onnx_gives_what_torch_gives(exported: Exported) -> None:
    pictures = some_pictures()
    torch_encoder = TorchEncoder(exported.onnx.spec, exported.weights, exported.onnx.sha256, device="cpu")
    ours, theirs = exported.onnx.encode(pictures), torch_encoder.encode(pictures)
    assert theirs.dtype == np.float32
    assert np.abs(ours - theirs).max() < 1e-4


def test_logits_are_the_whole_networks_own(exported: Exported) -> None:
    pictures = some_pictures()
    theirs = torchs_own(exported, pictures)
    ours = exported.onnx.logits(exported.onnx.encode(pictures))
    assert ours.shape == (3, CLASSES)
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
    assert not state[f"{exported.last_layer}.weight"].is_contiguous()  # else this proves nothing
    classifier = read_classifier(exported.onnx.folder / CLASSIFIER_FILE)
    assert np.array_equal(classifier.weight, state[f"{exported.last_layer}.weight"].numpy())
    assert np.array_equal(classifier.bias, state[f"{exported.last_layer}.bias"].numpy())
    assert classifier.weight.shape == (CLASSES, exported.onnx.spec.width)


def test_there_are_a_thousand_class_names_in_imagenets_order(exported: Exported) -> None:
    names = exported.onnx.classifier.names
    assert len(names) == CLASSES == 1000
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
    with pytest.raises(ValueError, match=r"wants \(n, 224, 224, 3\) uint8"):
        encoder.encode(pictures)


def test_a_real_cat_is_seen_as_a_cat(encoder: Encoder) -> None:
    data = pytest.importorskip("skimage.data")
    cat = Image.fromarray(data.chelsea())
    (logits,) = encoder.logits(encoder.encode(frame(cat, encoder.spec.framing)[None]))
    best = encoder.classifier.names[int(logits.argmax())]
    assert best in ("tabby", "tiger cat", "Egyptian cat", "Persian cat", "Siamese cat")


def test_a_real_cup_of_coffee_is_seen_as_one(encoder: Encoder) -> None:
    data = pytest.importorskip("skimage.data")
    coffee = Image.fromarray(data.coffee())
    (logits,) = encoder.logits(encoder.encode(frame(coffee, encoder.spec.framing)[None]))
    best = [encoder.classifier.names[row] for row in logits.argsort()[-3:]]
    assert "espresso" in best


@pytest.mark.parametrize("name", ENCODERS)
def test_the_parameters_of_the_spec_are_those_of_the_torch_network(name: str) -> None:
    build, features, last_layer = ARCHITECTURES[name]
    with torch.device("meta"):
        network = build()
    part = features(network)
    last = {id(parameter) for parameter in network.get_submodule(last_layer).parameters()}
    counted = sum(parameter.numel() for parameter in part.parameters() if id(parameter) not in last)
    counted += sum(
        buffer.numel() for label, buffer in part.named_buffers() if not label.endswith("num_batches_tracked")
    )
    assert encoder_spec(name).parameters == counted


# Without torch


def test_running_an_exported_encoder_imports_no_torch(encoder: Encoder) -> None:
    code = """
import sys
import numpy as np
from model.encoder import open_encoder
encoder = open_encoder("efficientnet-lite0")
features = encoder.encode(np.zeros((2, 224, 224, 3), np.uint8))
print(features.shape, encoder.logits(features).shape, encoder.classifier.names[0])
print([name for name in ("torch", "torchvision", "efficientnet_lite_pytorch") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["(2, 1280) (2, 1000) tench", "[]"]


def test_importing_the_encoder_imports_neither_torch_nor_onnxruntime() -> None:
    code = "import sys, model.encoder, model.embedding, model.projection, model.training; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "torchvision", "onnxruntime"} & set(ran.stdout.split())


# Which weights


def refused(weights: Path, told: str, folder: Path, *, sha256: str = "") -> None:
    with pytest.raises(WeightsError, match=told):
        export(LITE0, weights, sha256 or sha256_file(weights), folder / "exported")
    assert not [path for path in folder.rglob("*") if path.name.startswith((".exported", "exported"))]


def test_weights_of_another_checksum_are_refused(lite0: Exported, tmp_path: Path) -> None:
    refused(lite0.weights, "has checksum 57934424, ffffffff expected", tmp_path, sha256="f" * 64)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_weights_file_is_refused(lite0: Exported, tmp_path: Path, share: float) -> None:
    data = lite0.weights.read_bytes()
    (tmp_path / "weights.pth").write_bytes(data[: int(len(data) * share)])
    refused(tmp_path / "weights.pth", "does not hold the weights of efficientnet-lite0", tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_truncated_zip_of_weights_is_refused(lite0: Exported, tmp_path: Path, share: float) -> None:
    path = tmp_path / "weights.pth"
    torch.save(lite0.network.state_dict(), path)
    assert path.read_bytes()[:2] == b"PK"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, "does not hold the weights of efficientnet-lite0", tmp_path)


@pytest.mark.parametrize(
    "data", [b"hello world", b"\x80\x02.", b"PK\3\4 and nothing", b"\0" * 1000, b"\x80\x02]q\0."],
    ids=["text", "empty-pickle", "zip", "zeros", "list-pickle"],
)  # fmt: skip
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(data)
    refused(tmp_path / "weights.pth", "does not hold the weights", tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state | {"_fc.weight": torch.zeros(10, 1280)},
        lambda state: {name: tensor for name, tensor in state.items() if name != "_fc.bias"},
        lambda state: state | {"one.more": torch.zeros(1)},
        lambda state: {},
        lambda state: list(state.values()),
        lambda state: {"state_dict": state},
    ],
    ids=["other-shape", "missing", "one-more", "empty", "list", "nested"],
)
def test_a_state_dict_of_another_network_is_refused(
    lite0: Exported, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    torch.save(change(lite0.network.state_dict()), tmp_path / "weights.pth")
    refused(tmp_path / "weights.pth", "does not hold the weights of efficientnet-lite0", tmp_path)


def test_the_weights_of_the_other_encoder_are_refused(lite0: Exported, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not hold the weights of vgg16"):
        load_network(VGG16, lite0.weights)


class Mischief:
    """What an unpickler that trusts its file would run."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("mischief"),)  # type: ignore[return-value]


@pytest.mark.parametrize("save", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))])
def test_code_in_a_weights_file_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Callable[[object, Path], object]
) -> None:
    monkeypatch.chdir(tmp_path)
    save({"_fc.weight": Mischief()}, tmp_path / "weights.pth")
    refused(tmp_path / "weights.pth", "does not hold the weights", tmp_path)
    assert not (tmp_path / "mischief").exists()


def test_weights_in_half_precision_run_in_full(lite0: Exported, tmp_path: Path) -> None:
    state = {name: tensor.half() if tensor.is_floating_point() else tensor
             for name, tensor in lite0.network.state_dict().items()}  # fmt: skip
    path = tmp_path / "half.pth"
    torch.save(state, path)
    export(LITE0, path, sha256_file(path), tmp_path / "exported")
    halved = OnnxEncoder(LITE0, sha256_file(path), tmp_path / "exported")
    ours, theirs = halved.encode(some_pictures()), lite0.onnx.encode(some_pictures())
    assert ours.dtype == halved.classifier.weight.dtype == np.float32
    assert np.abs(ours - theirs).max() < 0.1


def test_an_export_that_fails_halfway_leaves_nothing(
    lite0: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(framed: object, spec: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(architecture, "export_onnx", fail)
    with pytest.raises(OSError, match="No space left"):
        export(LITE0, lite0.weights, LITE0.sha256, tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


# Opening


def test_an_encoder_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"no encoder 'vgg19': there are efficientnet-lite0, vgg16"):
        open_encoder("vgg19")


def test_weights_that_are_not_here_say_how_to_get_them() -> None:
    with pytest.raises(WeightsError, match=r"no weights of vgg16 here: `model fetch` brings them"):
        open_encoder("vgg16")
    with pytest.raises(WeightsError, match=r"no weights of vgg16 with checksum aaaaaaaa here"):
        open_encoder("vgg16", "a" * 64)
    with pytest.raises(WeightsError, match=r"no weights of efficientnet-lite0 with checksum aaaaaaaa here"):
        open_encoder(BUNDLED_ENCODER, "a" * 64)


def test_cuda_where_there_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device"):
        open_encoder(BUNDLED_ENCODER, device="cuda")
    assert isinstance(open_encoder(BUNDLED_ENCODER, device="auto"), OnnxEncoder)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_exported_encoder_opens_without_its_weights(own_cache: Path, lite0: Exported) -> None:
    """The query machine needs the export only, also of weights that were handed over."""
    sha256 = hashlib.sha256(b"handed over").hexdigest()
    shutil.copytree(lite0.onnx.folder, export_dir(LITE0, sha256))
    opened = open_encoder(BUNDLED_ENCODER, sha256)
    assert opened.sha256 == sha256
    assert np.array_equal(opened.encode(some_pictures(1)), lite0.onnx.encode(some_pictures(1)))


def test_the_weights_in_use_are_those_recorded_and_still_there(own_cache: Path) -> None:
    sha256 = "c" * 64
    record = own_cache / "weights" / "vgg16.json"
    assert installed_sha256(VGG16) is None
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"sha256": sha256}))
    assert installed_sha256(VGG16) is None
    weights_file(VGG16, sha256).parent.mkdir()
    weights_file(VGG16, sha256).touch()
    assert installed_sha256(VGG16) == sha256
    for broken in ("", "{", "[]", "{}"):
        record.write_text(broken)
        assert installed_sha256(VGG16) is None
    assert installed_sha256(LITE0) == LITE0.sha256


@pytest.mark.parametrize("data", [b"", b"rubbish", None], ids=["empty", "rubbish", "truncated"])
def test_a_damaged_export_says_what_to_remove(tmp_path: Path, lite0: Exported, data: bytes | None) -> None:
    folder = tmp_path / "exported"
    shutil.copytree(lite0.onnx.folder, folder)
    for name in (ONNX_FILE, CLASSIFIER_FILE):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2] if data is None else data)
    damaged = OnnxEncoder(LITE0, LITE0.sha256, folder)
    with pytest.raises(WeightsError, match="remove that folder, it is made again"):
        damaged.encode(some_pictures(1))
    with pytest.raises(WeightsError, match="remove its folder, it is made again"):
        damaged.logits(np.zeros((1, 1280), np.float32))


def test_a_classifier_file_without_names_is_refused(tmp_path: Path) -> None:
    tensors = {"weight": np.zeros((2, 2), np.float32), "bias": np.zeros(2, np.float32)}
    for metadata in (None, {"classes": "["}, {"other": "1"}):
        save_file(tensors, tmp_path / "c.safetensors", metadata)
        with pytest.raises(WeightsError, match="remove its folder"):
            read_classifier(tmp_path / "c.safetensors")
