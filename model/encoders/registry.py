"""Which encoders there are: each registers itself, in a file of its own. It must not import them, nor torch.

A file of an encoder holds its spec and the function that builds its network::

    @register(EncoderSpec(name="resnet50", width=2048, ...))
    def resnet50() -> nn.Module:
        ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from model.encoders.base import EncoderSpec
from model.system.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    Builder = Callable[[], nn.Module]


_encoders: Registry[tuple[EncoderSpec, Builder]] = Registry("encoder")


def register(spec: EncoderSpec) -> Callable[[Builder], Builder]:
    """A decorator: the function builds the network of ``spec`` without weights, and imports torch inside.

    The network's state dict must be that of the published weights. Called with (n, 3, side, side) normalised
    pictures it must return (n, width) features, once the layer that ``spec.classifier`` names, if any, passes its
    input on.

    Raises:
        ValueError: the name is taken.
    """

    def decorate(build: Builder) -> Builder:
        _encoders.add(spec.name, (spec, build))
        return build

    return decorate


def unregister(name: str) -> None:
    """Forget an encoder, such as one that a test made up."""
    _encoders.remove(name)


def encoder_names() -> list[str]:
    """Sorted."""
    return _encoders.names()


def encoder_specs() -> list[EncoderSpec]:
    """Sorted by name."""
    return [encoder_spec(name) for name in _encoders.names()]


def encoder_spec(name: str) -> EncoderSpec:
    """The encoder of that name.

    Raises:
        UsageError: there is none.
    """
    spec, _ = _encoders[name]
    return spec


def build_network(name: str) -> nn.Module:
    """The network of that encoder, without weights. Imports torch."""
    _, build = _encoders[name]
    return build()
