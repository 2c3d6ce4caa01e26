"""VGG16: configuration D of Simonyan and Zisserman 2015, with torchvision's weights. The document's encoder."""

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
        name="vgg16",
        width=4096,
        parameters=134_260_544,
        # torchvision, VGG16_Weights.IMAGENET1K_V1.transforms()
        framing=Framing(256, 224, Image.Resampling.BILINEAR, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        weights=RemoteFile(
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
            size=553_433_881,
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        licence="BSD-3-Clause (torchvision), trained on ImageNet",
        gpu_batch=64,
        layer="second fully connected layer, after its ReLU",
        classifier="classifier.6",
    )
)
def vgg16() -> nn.Module:
    """What follows that ReLU is a dropout, which passes everything on, and the classifier."""
    from model.encoders.torchvision import import_torchvision

    # Its default initialisation of 138 million numbers takes seconds and is thrown away.
    network: nn.Module = import_torchvision().models.vgg16(weights=None, init_weights=False)
    return network
