"""What was prepared in the cache: checksums beside the files, damage that is noticed and made again, permissions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model.encoders import encoder_spec, export_dir, open_encoder
from model.encoders.onnx import ONNX_FILE
from model.errors import CacheError
from model.pair import BUNDLED
from model.system import prepared
from model.system.prepared import (
    CHECKSUMS_FILE,
    damaged_files,
    discard_damaged,
    new_prepared_dir,
)
from model.verifying import verify
from model.words import open_words, words_dir, words_spec
from tests.commands import command
from tests.model.encoders import some_pictures

WORDS = "glove-6b-50d"
"""Ready in a tenth of the bundled one's time."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "encoders" / "one-0123abcd-v2"
    with new_prepared_dir(place) as temporary:
        (temporary / "encoder.onnx").write_bytes(b"weights")
        (temporary / "classes").write_bytes(b"names")
    return place


def keep_time(path: Path, data: bytes) -> None:
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_was_made_is_sound(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [CHECKSUMS_FILE, "classes", "encoder.onnx"]
    assert damaged_files(folder) == []
    assert damaged_files(folder, thorough=True) == []


@pytest.mark.parametrize("data", [b"Weights", b"weight", b"", None], ids=["a letter", "cut", "empty", "removed"])
def test_a_changed_file_is_noticed(folder: Path, data: bytes | None) -> None:
    if data is None:
        (folder / "encoder.onnx").unlink()
    else:
        (folder / "encoder.onnx").write_bytes(data)
    assert damaged_files(folder) == ["encoder.onnx"]


def test_a_file_that_changed_and_kept_size_and_time_is_noticed_by_a_thorough_look(folder: Path) -> None:
    keep_time(folder / "encoder.onnx", b"Weights")
    assert damaged_files(folder) == []
    assert damaged_files(folder, thorough=True) == ["encoder.onnx"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"encoder.onnx": 1}', None])
def test_without_checksums_nothing_is_believed(folder: Path, data: bytes | None) -> None:
    if data is None:
        (folder / CHECKSUMS_FILE).unlink()
    else:
        (folder / CHECKSUMS_FILE).write_bytes(data)
    assert damaged_files(folder) == [CHECKSUMS_FILE]


def test_a_copy_is_read_once_and_then_known_by_its_new_times(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in folder.iterdir():
        os.utime(path, ns=(1, 1))
    read = []
    real = prepared.sha256_file
    monkeypatch.setattr(prepared, "sha256_file", lambda path: read.append(path.name) or real(path))
    monkeypatch.setattr(prepared, "_read_here", set())
    assert damaged_files(folder) == []
    monkeypatch.setattr(prepared, "_read_here", set())  # as in another process
    assert damaged_files(folder) == []
    assert sorted(read) == ["classes", "encoder.onnx"]


def test_a_copy_that_cannot_be_written_is_read_once_a_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(folder / "classes", ns=(1, 1))
    read = []
    real = prepared.sha256_file

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(prepared, "sha256_file", lambda path: read.append(path.name) or real(path))
    monkeypatch.setattr(prepared, "_read_here", set())
    monkeypatch.setattr(prepared, "replace_file", refused)
    assert damaged_files(folder) == damaged_files(folder) == []
    assert read == ["classes"]


def test_others_may_read_what_a_library_wrote_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with new_prepared_dir(tmp_path / "one-0123abcd-v1") as temporary:
            (temporary / "private").touch(0o600)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "one-0123abcd-v1").iterdir()}
    assert modes == {"private": 0o644, CHECKSUMS_FILE: 0o644}
    assert (tmp_path / "one-0123abcd-v1").stat().st_mode & 0o755 == 0o755


def test_a_new_format_replaces_the_older_ones_of_the_same_thing_alone(tmp_path: Path) -> None:
    for name in ("a-01234567", "a-01234567-v1", "a-01234567-v3", "a-76543210-v1", "b-01234567-v1"):
        (tmp_path / name).mkdir()
    with new_prepared_dir(tmp_path / "a-01234567-v2"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a-01234567-v2",
        "a-01234567-v3",
        "a-76543210-v1",
        "b-01234567-v1",
    ]


def test_a_file_that_cannot_be_read_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> str:
        raise OSError(5, "Input/output error")

    os.utime(folder / "classes", ns=(1, 1))
    monkeypatch.setattr(prepared, "sha256_file", broken)
    with pytest.raises(CacheError, match="Input/output error"):
        discard_damaged(folder)
    assert (folder / "classes").read_bytes() == b"names"


@pytest.fixture
def own_cache(shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with the bundled encoder and GloVe's words, ready for use."""
    encoder = open_encoder(BUNDLED.encoder)
    for prepared_here in (export_dir(encoder.spec, encoder.sha256), open_words(WORDS).folder):
        shutil.copytree(prepared_here, tmp_path / "cache" / prepared_here.relative_to(shared_cache))
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def zero_a_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(4096))


def test_a_damaged_encoder_is_exported_again(own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A zeroed page gave other vectors under the right checksum."""
    right = open_encoder(BUNDLED.encoder).encode(some_pictures(1))
    spec = encoder_spec(BUNDLED.encoder)
    onnx = export_dir(spec, spec.sha256) / ONNX_FILE
    zero_a_page(onnx)
    again = open_encoder(BUNDLED.encoder).encode(some_pictures(1))
    assert np.array_equal(again, right)
    assert (
        f"{ONNX_FILE} in {onnx.parent} missing or changed: what was prepared is made again" in capsys.readouterr().err
    )


def test_damaged_words_are_made_again(own_cache: Path) -> None:
    spec = words_spec(WORDS)
    folder = words_dir(spec.name, spec.sha256)
    right = open_words(spec.name).embed(["cat", "house"])
    for path in folder.glob("*.f32"):
        zero_a_page(path)
    assert np.array_equal(open_words(spec.name).embed(["cat", "house"]), right)
    assert damaged_files(folder, thorough=True) == []


def test_verify_finds_and_mends_what_kept_size_and_time(own_cache: Path) -> None:
    spec = words_spec(WORDS)
    folder = words_dir(spec.name, spec.sha256)
    assert {one.problem for one in verify()} == {""}
    path = folder / "vectors.f32"
    data = bytearray(path.read_bytes())
    data[5000:9096] = bytes(4096)
    keep_time(path, bytes(data))
    ran = command("model", "verify")
    assert ran.status == 0, ran.err
    assert f"words/{folder.name}: damaged: vectors.f32 missing or changed; it was made again\n" in ran.out
    assert f"{BUNDLED.encoder}: sound\n" in ran.out
    assert {one.problem for one in verify()} == {""}


def test_short_of_open_files_is_said_and_is_no_damage(own_cache: Path) -> None:
    """With the process's own limit: whatever it opens next fails."""
    script = f"""
import resource, sys
import onnxruntime, numpy, safetensors
from model.encoders import open_encoder
from model.errors import WordsightError
from model.pair import BUNDLED
from model.words import Words, open_words, words_dir, words_spec
encoder = open_encoder(BUNDLED.encoder)
folder = open_words("{WORDS}").folder
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
for use in (lambda: Words(folder), lambda: encoder.classifier, lambda: open_words("{WORDS}")):
    try:
        use()
    except WordsightError as error:
        print(type(error).__name__, error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    told = ran.stdout.splitlines()
    assert len(told) == 3, ran.stderr
    assert all("Too many open files" in line and "remove" not in line for line in told), told
    assert damaged_files(words_dir(WORDS, words_spec(WORDS).sha256)) == []
