"""Weights of encoders: nothing but the right ones is taken, and what is missing or damaged says what to do."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from model.encoders import (
    Encoder,
    OnnxEncoder,
    export_dir,
    installed_sha256,
    open_encoder,
    weights_file,
)
from model.encoders import torch as architecture
from model.encoders.onnx import CLASSIFIER_FILE, ONNX_FILE, read_classifier
from model.encoders.torch import export, load_network
from model.errors import UsageError, WeightsError
from model.system.atomic import sha256_file
from tests.model.encoders import LITE0, VGG16, Exported, bundled, some_pictures


@pytest.fixture(scope="module")
def lite0(encoder: Encoder) -> Exported:
    return bundled(encoder)


# Which weights


def refused(weights: Path, message: str, folder: Path, *, sha256: str = "") -> None:
    with pytest.raises(WeightsError, match=message):
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
    with pytest.raises(UsageError, match=r"no encoder 'vgg19': there are efficientnet-lite0, resnet50, vgg16"):
        open_encoder("vgg19")


def test_weights_that_are_not_here_say_how_to_get_them() -> None:
    with pytest.raises(WeightsError, match="no weights of vgg16 here: `model fetch --encoder vgg16` brings the"):
        open_encoder("vgg16")
    with pytest.raises(WeightsError, match=r"no weights of vgg16 with checksum aaaaaaaa here"):
        open_encoder("vgg16", "a" * 64)
    with pytest.raises(
        WeightsError,
        match="lite0 with checksum aaaaaaaa here: this version comes with 57934424",
    ):
        open_encoder(LITE0.name, "a" * 64)


def test_cuda_where_there_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device"):
        open_encoder(LITE0.name, device="cuda")
    assert isinstance(open_encoder(LITE0.name, device="auto"), OnnxEncoder)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_exported_encoder_opens_without_its_weights(own_cache: Path, lite0: Exported) -> None:
    """The query machine needs the export only, also of weights that were handed over."""
    sha256 = hashlib.sha256(b"handed over").hexdigest()
    shutil.copytree(lite0.onnx.folder, export_dir(LITE0, sha256))
    opened = open_encoder(LITE0.name, sha256)
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
def test_a_damaged_export_says_what_to_do(tmp_path: Path, lite0: Exported, data: bytes | None) -> None:
    folder = tmp_path / "exported"
    shutil.copytree(lite0.onnx.folder, folder)
    for name in (ONNX_FILE, CLASSIFIER_FILE):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2] if data is None else data)
    damaged = OnnxEncoder(LITE0, LITE0.sha256, folder)
    with pytest.raises(WeightsError, match=r"encoder\.onnx \(.+\): `model verify` makes it again"):
        damaged.encode(some_pictures(1))
    with pytest.raises(WeightsError, match=r"classifier\.safetensors \(.+\): `model verify` makes it again"):
        _ = damaged.classifier


def test_a_classifier_file_without_names_is_refused(tmp_path: Path) -> None:
    tensors = {"weight": np.zeros((2, 2), np.float32), "bias": np.zeros(2, np.float32)}
    for metadata in (None, {"classes": "["}, {"other": "1"}):
        save_file(tensors, tmp_path / "c.safetensors", metadata)
        with pytest.raises(WeightsError, match="`model verify` makes it again"):
            read_classifier(tmp_path / "c.safetensors")
