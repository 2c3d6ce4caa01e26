"""No projection: the encoder's features lie in the text space already. It must not know encoders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.encoders import Features
from model.projections.base import Header, Projection, Tensors, unit


class IdentityProjection(Projection):
    """Features as they are, at unit length: for an encoder that brings its own text space, as CLIP does.

    Radford et al. 2021, "Learning transferable visual models from natural language supervision".

    Tensors: ``width`` (1,), numbers in the features and in a text's vector.
    """

    kind = "identity"

    def __init__(self, header: Header, tensors: Tensors) -> None:
        super().__init__(header, tensors)
        (width,) = tensors["width"].tolist()
        if not (width == int(width) and width > 0):
            raise ValueError("the width is not a whole number above 0")
        self._width = int(width)

    @property
    def width(self) -> int:
        return self._width

    def project(self, features: Features) -> NDArray[np.float32]:
        return unit(features)

    @classmethod
    def build(cls, header: Header, width: int) -> IdentityProjection:
        """For features and texts of ``width`` numbers."""
        return cls(replace(header, kind=cls.kind), {"width": np.array([width], np.float32)})
