"""A thousand hostile files and the installed command: no crash, no hang, nothing lost, nothing mixed up."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from ingest.collection import read_failures
from ingest.collection.ledger import Failure
from ingest.records import Picture
from ingest.stores import VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Encoder, encode_views
from model.pictures import open_picture
from model.pictures.framing import frame
from tests import hostile
from tests.commands import Ran, command
from tests.copies import copy_store
from tests.hostile import Hostile

MAX_SECONDS = 8
"""The time limit for a file here, hundreds of times what the others take; one would take minutes, one never end."""

SLOW_DISK = """
import builtins, os, time

real_open, real_fstat = builtins.open, os.fstat

def open_slowly(file, *args, **kwargs):
    name = os.path.basename(str(file))
    if name == "hangs.jpg":
        time.sleep(3600)
    if name == "vanishes.jpg":
        os.unlink(file)
    return real_open(file, *args, **kwargs)

def fstat(handle):
    status = real_fstat(handle)
    path = os.readlink(f"/proc/self/fd/{handle}")
    if path.endswith("grows.jpg"):
        with real_open(path, "ab") as more:
            more.write(b"x")
    return status

builtins.open, os.fstat = open_slowly, fstat
"""
"""What stands for a network disk: Python imports it as ``sitecustomize`` before the command."""


def without_privileges() -> list[str]:
    """Root may read everything; so before a command, take that from it."""
    if os.geteuid() or not shutil.which("setpriv"):
        return []
    dropped = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]


@contextmanager
def churn(folder: Path, data: bytes) -> Iterator[None]:
    """Files that are replaced, rewritten, moved and removed all the while; in the end they are whole."""
    stop = threading.Event()

    def run() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (folder / "rewritten.jpg").write_bytes(data[: len(data) * (number % 5) // 4])
            (folder / ".new").write_bytes(data)
            (folder / ".new").replace(folder / "replaced.jpg")
            with suppress(FileNotFoundError):
                (folder / f"moved-{number % 2}.jpg").rename(folder / f"moved-{1 - number % 2}.jpg")
            (folder / "sometimes.jpg").write_bytes(data)
            time.sleep(0.001)
            (folder / "sometimes.jpg").unlink()

    folder.mkdir()
    (folder / "moved-0.jpg").write_bytes(data)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for name in ("rewritten.jpg", "replaced.jpg", "sometimes.jpg"):
            (folder / name).write_bytes(data)


def run(folder: Path, place: Path, *options: str) -> Ran:
    paths = os.pathsep.join(filter(None, (str(place / "slow"), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": paths}
    words = ["run", folder, "--offline", "--projection", "conse", "--max-seconds", str(MAX_SECONDS), *options]
    return command("ingest", *words, env=env, prefix=without_privileges())


@pytest.fixture(scope="module")
def made(shared_cache: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Hostile, Path, Ran]:
    """The folder, the place with its store, and what the first run said while some files changed under it."""
    place = tmp_path_factory.mktemp("hostile")
    copy_store(tags_store, place / "store")
    (place / "slow").mkdir()
    (place / "slow/sitecustomize.py").write_text(SLOW_DISK)
    made = hostile.make(place / "photos", seed=4, count=990)
    plain = hostile.picture(1, "jpg")
    for name in ("hangs.jpg", "grows.jpg", "denied.jpg"):
        made.bad.add(made.write(f"disk/{name}", plain))
    made.write("disk/vanishes.jpg", plain)
    (place / "photos/disk/denied.jpg").chmod(0)
    if os.access(place / "photos/disk/denied.jpg", os.R_OK) and not without_privileges():
        made.bad.remove("disk/denied.jpg")
        made.clean["disk/denied.jpg"] = plain
    with pytest.MonkeyPatch.context() as patch, churn(place / "photos/churn", plain):
        patch.setenv("WORDSIGHT_STORE", str(place / "store"))
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        ran = run(place / "photos", place)
    return made, place, ran


@pytest.fixture
def place(made: tuple[Hostile, Path, Ran], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORDSIGHT_STORE", str(made[1] / "store"))
    return made[1]


def vectors(place: Path) -> dict[str, np.ndarray]:
    with EmbeddedStore(place / "store").open("photos") as collection:
        every = [point for page in collection.scroll([VISUAL]) for point in page]
    return {Picture.from_payload(point.payload).path: point.vectors[VISUAL] for point in every}


def failed(place: Path) -> dict[str, Failure]:
    with EmbeddedStore(place / "store").open("photos") as collection:
        return read_failures(collection)


def alone(encoder: Encoder, data: bytes) -> np.ndarray:
    """The vector of a picture encoded by itself."""
    features = encode_views(encoder, [frame(open_picture(data), encoder.spec.framing)])[0]
    return features / np.linalg.norm(features)


def test_a_thousand_hostile_files_are_all_accounted_for(made: tuple[Hostile, Path, Ran], place: Path) -> None:
    files, _, ran = made
    assert files.count > 985
    assert (ran.status, ran.out) == (0, ""), ran.err
    stored, ledger = set(vectors(place)), failed(place)
    shown = {path for path, row in ledger.items() if row.shown}
    bad = set(ledger) - shown
    assert not stored & bad
    assert shown <= stored & files.either
    assert f", {len(shown)} damaged but shown, " in ran.err
    assert set(files.clean) <= stored
    assert files.bad <= bad
    settled = {path for path in stored | bad if not path.startswith("churn/")}
    assert settled == set(files.clean) | files.either | files.bad
    assert f"pipes, sockets and devices left out: {len(files.special) - 1}" in ran.err
    assert "links to folders not entered: 1" in ran.err
    assert not list(place.rglob("owned"))


def test_each_picture_has_the_vector_of_the_picture_alone(
    made: tuple[Hostile, Path, Ran], place: Path, encoder: Encoder
) -> None:
    files, stored = made[0], vectors(place)
    right: dict[bytes, np.ndarray] = {}
    for path in set(files.clean) | files.either & set(stored):
        data = files.clean.get(path) or (files.folder / path).read_bytes()
        if data not in right:
            right[data] = alone(encoder, data)
        np.testing.assert_allclose(stored[path], right[data], atol=1e-5, err_msg=path)
    assert len(right) > 100
    assert len({vector.tobytes() for vector in stored.values()}) > 50, "vectors that all are equal show nothing"


def test_reasons_tell_what_to_do(made: tuple[Hostile, Path, Ran], place: Path) -> None:
    bad = failed(place)
    assert bad["bombs/scans.jpg"].reason == f"not decoded within {MAX_SECONDS} s: --max-seconds allows more"
    assert bad["disk/hangs.jpg"].reason == f"not read within {MAX_SECONDS} s: --max-seconds allows more"
    assert "--max-megapixels lifts it" in bad["bombs/60000.png"].reason
    assert bad["none/empty.png"].reason == "empty file"
    assert bad["disk/grows.jpg"].reason == "changed while it was read"
    assert bad["links/dangling.png"].reason == "No such file or directory"
    assert "disk/vanishes.jpg" not in bad
    assert "gone meanwhile" in made[2].err
    if "disk/denied.jpg" in made[0].bad:
        assert bad["disk/denied.jpg"].reason == "Permission denied"
    passing = {path for path, row in bad.items() if row.reader == "any" and not path.startswith("churn/")}
    usual = {"disk/hangs.jpg", "disk/grows.jpg", "links/proc.jpg"}
    assert passing - {"disk/denied.jpg"} == usual | {"links/dangling.png", "links/self.png"}


def test_the_ledger_is_shown_whatever_the_names(made: tuple[Hostile, Path, Ran], place: Path) -> None:
    bad = failed(place)
    rows = command("ingest", "failures", "--json").json
    assert len(rows) == len(bad)
    assert all(row["reason"] and row["at"].startswith("20") and row["collection"] == "photos" for row in rows)
    assert len(command("ingest", "failures").out.splitlines()) == len(bad), "a line a file, whatever is in its name"


def test_a_second_run_tries_only_what_may_have_changed(made: tuple[Hostile, Path, Ran], place: Path) -> None:
    files = made[0]
    before = vectors(place)
    shutil.copyfile(files.folder / "clean/png.png", files.folder / "bombs/scans.jpg")  # mended
    (files.folder / "none/empty.png").unlink()
    (files.folder / "disk/hangs.jpg").rename(files.folder / "disk/answers.jpg")
    ran = run(files.folder, place)
    assert ran.status == 0, ran.err
    bad, after = failed(place), vectors(place)
    assert "not decoded" not in ran.err
    assert not {"bombs/scans.jpg", "none/empty.png", "disk/vanishes.jpg", "disk/hangs.jpg"} & set(bad)
    for path in ("bombs/scans.jpg", "disk/answers.jpg"):
        assert path in after
    for path in ("churn/rewritten.jpg", "churn/replaced.jpg", "churn/sometimes.jpg"):
        np.testing.assert_allclose(after[path], after["disk/answers.jpg"], atol=1e-5)
    assert all(np.array_equal(after[path], before[path]) for path in files.clean)
