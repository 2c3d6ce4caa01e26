"""Where an encoder's weights and its export lie, and which are in use. It must not read either."""

from __future__ import annotations

from pathlib import Path

from model.encoders.base import EncoderSpec
from model.errors import WeightsError
from model.system.cache import cache_dir, in_use
from model.system.packages import PackageFile
from model.system.prepared import prepared_dir

EXPORT_VERSION = 1
"""Counts up when what an export holds, or how it is made, changes."""


def export_dir(spec: EncoderSpec, sha256: str) -> Path:
    return prepared_dir("encoders", spec.name, sha256, EXPORT_VERSION)


def weights_dir(spec: EncoderSpec, sha256: str) -> Path:
    return cache_dir() / "weights" / f"{spec.name}-{sha256[:8]}"


def installed_sha256(spec: EncoderSpec) -> str | None:
    """The checksum of the weights that are ready to be used, or None.

    Those of a package are the package's; of others, the last ones that were fetched or handed over.
    """
    if isinstance(spec.weights, PackageFile):
        return spec.sha256 if spec.weights.is_installed else None
    sha256 = in_use("weights", spec.name)
    return sha256 if sha256 and weights_file(spec, sha256).is_file() else None


def weights_file(spec: EncoderSpec, sha256: str) -> Path:
    """Where the weights with that checksum lie, if they are here.

    Raises:
        WeightsError: they come in a package that is not installed.
    """
    if isinstance(spec.weights, PackageFile):
        return spec.weights.path
    return weights_dir(spec, sha256) / "weights.pth"


def need_weights(spec: EncoderSpec, sha256: str) -> Path:
    """The file with the weights of that checksum.

    Raises:
        WeightsError: they are not here.
    """
    from_package = isinstance(spec.weights, PackageFile)
    if not sha256 or not weights_file(spec, sha256).is_file() or (from_package and sha256 != spec.sha256):
        which = f" with checksum {sha256[:8]}" if sha256 else ""
        raise WeightsError(f"there are no weights of {spec.name}{which} here: {_way_out(spec)}")
    return weights_file(spec, sha256)


def _way_out(spec: EncoderSpec) -> str:
    if isinstance(spec.weights, PackageFile):
        return f"this version comes with {spec.sha256[:8]}, with which a folder can be ingested under another name"
    return f"`model fetch --encoder {spec.name}` brings the published ones"
