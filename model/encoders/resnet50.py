"""ResNet50 (He et al. 2016), with torchvision's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from model.encoders.base import EncoderSpec
from model.encoders.registry import register
from model.pictures import Framing
from model.system.download import RemoteFile

if TYPE_CHECKING:
    from torch import nn


@register(
    EncoderSpec(
        name="resnet50",
        width=2048,
        parameters=23_561_152,
        # torchvision, ResNet50_Weights.IMAGENET1K_V1.transforms()
        framing=Framing(256, 224, Image.Resampling.BILINEAR, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        weights=RemoteFile(
            url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
            size=102_530_333,
            sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        ),
        licence="BSD-3-Clause (torchvision), trained on ImageNet",
        gpu_batch=128,
        layer="global average pool",
        classifier="fc",
    )
)
def resnet50() -> nn.Module:
    """What follows the pool is the classifier."""
    from model.encoders.torchvision import import_torchvision

    network: nn.Module = import_torchvision().models.resnet50(weights=None)
    return network
