"""Encoders as the product runs them, and the torch networks their weights come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.encoders import Encoder, OnnxEncoder, encoder_spec, weights_file
from model.encoders.registry import build_network
from model.pair import BUNDLED, STANDARD

LITE0, VGG16 = encoder_spec(BUNDLED.encoder), encoder_spec(STANDARD.encoder)


@dataclass(frozen=True)
class Exported:
    """An encoder as the product runs it, beside the whole torch network its weights come from."""

    onnx: OnnxEncoder
    network: nn.Module
    weights: Path


def bundled(encoder: Encoder) -> Exported:
    """The bundled encoder beside its network."""
    assert isinstance(encoder, OnnxEncoder)
    weights = weights_file(LITE0, LITE0.sha256)
    network = build_network(LITE0.name)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return Exported(encoder, network.eval(), weights)


def some_pictures(count: int = 3) -> NDArray[np.uint8]:
    """Framed pictures: noise in blocks, from coarse to fine, so that each looks different."""
    rng = np.random.default_rng(0)
    blocks = [112, 32, 8, 4, 2][:count]
    noise = [rng.integers(0, 256, (224 // block, 224 // block, 3), dtype=np.uint8) for block in blocks]
    return np.stack([small.repeat(block, 0).repeat(block, 1) for small, block in zip(noise, blocks, strict=True)])
