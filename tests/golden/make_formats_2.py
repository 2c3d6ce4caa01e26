"""Made the golden files in ``formats-2/``, once, with the version that first wrote projection format 3.

They are the projections of ``formats-1``, opened by that version and saved again, so what is expected of them is the
same but for what was renamed. To be run again only with that version (see README.md). It was run so, on Linux with GNU
tar, in the root of the repository::

    python -m tests.golden.make_formats_2
"""

from __future__ import annotations

import hashlib
import json
import lzma
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from model import __version__
from model.projections import load_projection
from tests.golden.files import expectations, unpack

BEFORE, AFTER = (Path(__file__).parent / name for name in ("formats-1", "formats-2"))
RENAMED = {"conse": "conse", "joint": "best", "devise": "document"}


def main() -> None:
    before, told = expectations(BEFORE), {}
    AFTER.mkdir()
    with tempfile.TemporaryDirectory() as place:
        old, new = unpack(BEFORE / "projections.tar.xz", Path(place)), Path(place) / "new/projections"
        new.mkdir(parents=True)
        for was, now in RENAMED.items():
            load_projection(old / f"{was}.safetensors").save(new / f"{now}.safetensors")
            told[now] = renamed(before["projections"][was])
        archive = AFTER / "projections.tar.xz"
        command = ["tar", "--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]
        command += ["--mtime=@0", "--mode=u+rw,go+r", "-C", str(new.parent), new.name]
        packed = subprocess.run(command, capture_output=True, check=True).stdout
        archive.write_bytes(lzma.compress(packed, preset=9))
    expected = {
        "made": {"version": __version__},
        "formats": {"projection": 3},
        "archives": {archive.name: hashlib.sha256(archive.read_bytes()).hexdigest()},
        "projections": told,
    }
    (AFTER / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")


def renamed(told: dict[str, Any]) -> dict[str, Any]:
    """What is told of a projection, in the terms of format 3."""
    header = dict(told["header"])
    header["kind"] = RENAMED[header["kind"]]
    header["label_phrases"] = header.pop("spoken")
    return {**told, "header": header}


if __name__ == "__main__":
    main()
