"""Importing torchvision, also where it was built for CUDA and torch was not; the names of ImageNet's classes."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch


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


def imagenet_class_names() -> tuple[str, ...]:
    """The names of ImageNet's 1000 classes (ILSVRC 2012), in the order of the logits."""
    import_torchvision()
    from torchvision.models import VGG16_Weights

    return tuple(VGG16_Weights.IMAGENET1K_V1.meta["categories"])
