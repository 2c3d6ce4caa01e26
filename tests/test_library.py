"""`from ingest import ingest_folder`: for programs; with real pictures, the real encoder, a real store."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import ingest
from ingest import ingest_folder
from ingest.collection import Options
from ingest.errors import CollectionMismatch, StoreUnreachable
from ingest.stores.embedded import EmbeddedStore
from model.errors import DatasetError, WordsightError
from tests import hostile
from tests.copies import copy_store
from tests.photographs import labelled_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos/cat").mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"photos/cat/{number}.jpg").write_bytes(hostile.picture(number, "jpg"))
    (tmp_path / "photos/bad.png").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.fixture
def store(tags_store: Path, tmp_path: Path) -> Path:
    copy_store(tags_store, tmp_path / "store")
    return tmp_path / "store"


def test_a_folder_becomes_a_collection_and_is_brought_up_to_date(folder: Path, store: Path) -> None:
    report = ingest_folder(folder, store, offline=True)
    assert isinstance(report, ingest.Report)
    assert (report.collection, report.total, report.added, report.failed) == ("photos", 3, 3, 1)
    (folder / "cat/0.jpg").unlink()
    (folder / "cat/3.jpg").write_bytes(hostile.picture(3, "jpg"))
    report = ingest_folder(str(folder), str(store), offline=True)
    assert (report.total, report.added, report.removed, report.unchanged, report.failed_before) == (3, 1, 1, 2, 1)
    with EmbeddedStore(store).open("photos") as collection:
        assert collection.count() == 3


def test_options_are_taken(folder: Path, store: Path) -> None:
    report = ingest_folder(folder, store, collection="mine", projection="conse", offline=True, max_megapixels=0)
    assert report.collection == "mine"
    assert EmbeddedStore(store).metadata("mine").projection == "conse"
    (folder / "cat/0.jpg").unlink()
    report = ingest_folder(folder, store, keep_missing=True, retry=True, offline=True)
    assert (report.collection, report.missing, report.failed) == ("mine", 1, 1)


def test_errors_are_of_one_tree(folder: Path, store: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no folder"):
        ingest_folder(tmp_path / "none", store)
    ingest_folder(folder, store, offline=True)
    with pytest.raises(CollectionMismatch, match="efficientnet-lite0, not vgg16"):
        ingest_folder(folder, store, encoder="vgg16")
    with pytest.raises(StoreUnreachable):
        ingest_folder(folder, "http://127.0.0.1:9")
    assert issubclass(CollectionMismatch, WordsightError)


def test_defaults_are_those_of_the_command() -> None:
    given = {name: row.default for name, row in inspect.signature(ingest_folder).parameters.items()}
    for field in fields(Options):
        assert given[field.name] in (field.default, None), field.name


def test_nothing_heavy_is_imported_and_nothing_is_said(folder: Path, store: Path) -> None:
    code = (
        "import sys, ingest\n"
        "heavy = {'numpy', 'torch', 'PIL', 'qdrant_edge', 'qdrant_client', 'onnxruntime', 'typer', 'httpx'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        f"report = ingest.ingest_folder({str(folder)!r}, {str(store)!r}, offline=True)\n"
        "assert report.total == 3\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_model_finds_stored_vectors_and_python_m_model_encodes(
    originals: Path, tags_store: Path, store: Path, tmp_path: Path
) -> None:
    folder = labelled_folder(tmp_path / "two", originals, ("cat", "rocket"), 10)
    ingest_folder(folder, store, offline=True, projection="conse")
    words = ["model", "train", str(folder), "--offline", "--out", str(tmp_path / "head.safetensors")]
    as_installed = f"import sys; sys.argv = {words!r}; from ingest.__main__ import model; model()"
    said = []
    for command in (["-c", as_installed], ["-m", *words]):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=250, check=False)
        assert done.returncode == 0, done.stderr
        said.append("20 of 20 pictures have stored vectors" in done.stderr)
    assert said == [True, False]
