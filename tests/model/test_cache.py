"""The cache: files and folders that appear whole or not at all, and what killed processes leave."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from ingest.stores.connect import default_store_dir
from model.encoders import open_encoder
from model.errors import CacheError, DiskFull, UsageError
from model.pair import BUNDLED
from model.system import atomic
from model.system.atomic import (
    new_dir,
    remove,
    remove_at_once,
    replace_file,
    settle,
    sha256_file,
    sweep,
)
from model.system.cache import cache_dir, cache_errors
from model.system.disk import folder_bytes, in_mb, need_space
from model.system.process import pid_scope
from model.words import open_words

Usage = namedtuple("Usage", "total used free")


class SomeError(Exception):
    """What goes wrong in the middle of writing."""


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_the_folders_move_with_their_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "s"))
    assert (cache_dir(), default_store_dir()) == (tmp_path / "c", tmp_path / "s")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WORDSIGHT_CACHE", "~/there")
    assert cache_dir() == tmp_path / "there"
    monkeypatch.delenv("WORDSIGHT_CACHE")
    monkeypatch.delenv("WORDSIGHT_STORE")
    assert "wordsight" in str(cache_dir())
    assert "wordsight" in str(default_store_dir())


def test_a_replaced_file_has_the_new_content_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "below" / "record.json"
    for content in (b"old", b"new"):
        with replace_file(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b"old")
    with replace_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"


@pytest.mark.parametrize("error", [SomeError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replace_file(path) as file:
            file.write(b"ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_folder_appears_only_when_it_is_filled(tmp_path: Path) -> None:
    path = tmp_path / "encoders" / "one"
    with new_dir(path) as temporary:
        (temporary / "a").write_text("a")
        (temporary / "sub").mkdir()
        (temporary / "sub" / "b").write_text("b")
        assert not path.exists()
    assert (path / "a").read_text() == "a"
    assert (path / "sub" / "b").read_text() == "b"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [SomeError, KeyboardInterrupt])
def test_an_error_while_filling_leaves_no_folder(tmp_path: Path, error: type[BaseException]) -> None:
    def fill_half() -> None:
        with new_dir(tmp_path / "one") as temporary:
            (temporary / "a").write_text("a")
            raise error

    with pytest.raises(error):
        fill_half()
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_fill_the_same_folder_the_first_stays(tmp_path: Path) -> None:
    path = tmp_path / "one"
    with new_dir(path) as slow:
        (slow / "by").write_text("slow")
        with new_dir(path) as fast:
            (fast / "by").write_text("fast")
    assert (path / "by").read_text() == "fast"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_folder_is_written_to_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def watch(handle: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{handle}"), (tmp_path / "one").exists()))
        real(handle)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to learn a file's name from")
    monkeypatch.setattr(os, "fsync", watch)
    with new_dir(tmp_path / "one") as temporary:
        (temporary / "a").write_text("a")
    assert any(name.endswith("/a") and not renamed for name, renamed in synced)
    assert any(name == str(tmp_path) and renamed for name, renamed in synced)


@pytest.mark.parametrize("killed", ["between the two renames", "while the old one is removed"])
def test_a_folder_survives_a_kill_where_two_cannot_be_swapped_in_one_step(tmp_path: Path, killed: str) -> None:
    """As on disks and systems without renameat2."""
    path = tmp_path / "shard"
    path.mkdir()
    (path / "data").write_bytes(b"old")
    script = f"""
import ctypes, os, sys
from pathlib import Path
from model.system import atomic
atomic.ctypes.CDLL = lambda *_, **__: object()
real, calls = Path.replace, []
def replace(self, target):
    calls.append(self)
    if {killed!r} == "between the two renames" and len(calls) == 2:
        os._exit(9)
    return real(self, target)
def remove(path):
    os._exit(9)
Path.replace = replace
if {killed!r} != "between the two renames":
    atomic.remove = remove
with atomic.replace_dir(Path({str(path)!r})) as new:
    (new / "data").write_bytes(b"new")
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == 9
    settle(path)
    sweep(tmp_path)
    assert (path / "data").read_bytes() == (b"old" if killed == "between the two renames" else b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["shard"]


def test_the_size_of_a_folder_that_changes_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(bytes(9000))
    assert folder_bytes(tmp_path) >= 18_000
    real = os.scandir

    def scandir(place: str | Path) -> Any:
        if str(place) == str(tmp_path / "a"):
            monkeypatch.undo()
            shutil.rmtree(tmp_path / "a")
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    assert 9000 <= folder_bytes(tmp_path) < 18_000


def test_a_home_folder_of_nobody_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORDSIGHT_CACHE", "~nosuchuser/cache")
    with pytest.raises(UsageError, match="no home folder is known for ~nosuchuser"):
        cache_dir()


def test_what_a_killed_process_left_is_swept_by_the_next_writer(tmp_path: Path, dead_pid: int) -> None:
    folder, file = (
        tmp_path / f".one.{pid_scope()}-{dead_pid}-0badcafe.tmp",
        tmp_path / f".record.{pid_scope()}-{dead_pid}-0badcafe.tmp",
    )
    folder.mkdir()
    (folder / "half").write_text("half")
    file.write_text("half")
    with replace_file(tmp_path / "record"):
        pass
    assert folder.exists()  # another name's: none of this writer's business
    assert not file.exists()
    with new_dir(tmp_path / "one"):
        pass
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["one", "record"]


def test_a_writer_that_was_killed_under_this_process_id_is_swept_too(tmp_path: Path) -> None:
    """In a container every start has the same id."""
    left = tmp_path / f".record.{pid_scope()}-{os.getpid()}-0badcafe.tmp"
    left.write_text("half")
    with replace_file(tmp_path / "record"):
        pass
    assert not left.exists()


def test_what_living_writers_have_open_is_not_swept(tmp_path: Path) -> None:
    other = tmp_path / f".record.{pid_scope()}-{os.getppid()}-0badcafe.tmp"
    other.write_text("being written")
    with replace_file(tmp_path / "record") as first:
        first.write(b"first")
        with replace_file(tmp_path / "record") as second:
            second.write(b"second")
    assert other.exists()
    assert (tmp_path / "record").read_bytes() == b"first"


def test_containers_of_one_host_name_know_their_own_processes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    scopes = set()
    for namespace in ("pid:[4026531836]", "pid:[4026532456]"):
        monkeypatch.setattr(os, "readlink", lambda _, namespace=namespace: namespace)
        pid_scope.cache_clear()
        scopes.add(pid_scope())
    monkeypatch.undo()
    pid_scope.cache_clear()
    assert len(scopes) == 2
    assert all(re.fullmatch("[0-9a-f]{8}", scope) for scope in scopes)


def test_what_another_machine_writes_is_left_alone_for_a_day(tmp_path: Path, dead_pid: int) -> None:
    young, old = (tmp_path / f".record.0badcafe-{dead_pid}-{number}.tmp" for number in (1, 2))
    for path in (young, old):
        path.write_text("of another container, which has a process of that number")
    long_ago = time.time() - 86_410
    os.utime(old, (long_ago, long_ago))
    with replace_file(tmp_path / "record"):
        pass
    assert (young.exists(), old.exists()) == (True, False)


def test_a_folder_is_gone_under_its_name_before_its_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "collection"
    path.mkdir()
    (path / "data").write_bytes(b"old")

    def remove_late(left: Path) -> None:
        path.mkdir()  # another process makes it anew
        (path / "data").write_bytes(b"new")
        remove(left)

    monkeypatch.setattr(atomic, "remove", remove_late)
    remove_at_once(path)
    assert (path / "data").read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["collection"]


def test_files_that_only_look_alike_are_left_alone(tmp_path: Path, dead_pid: int) -> None:
    names = [
        "record.tmp",
        f"record.{pid_scope()}-{dead_pid}-0badcafe.tmp",
        f".recordheet.{pid_scope()}-{dead_pid}-0badcafe.tmp",
        ".record.x.tmp",
    ]
    for name in names:
        (tmp_path / name).write_text("mine")
    with replace_file(tmp_path / "record"):
        pass
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*names, "record"])


def test_too_little_space_is_refused_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Usage:
        asked.append(path)
        return Usage(0, 0, 67_108_864 + 1000)  # 64 MB must stay free

    monkeypatch.setattr(shutil, "disk_usage", usage)
    need_space(tmp_path / "not" / "yet", 1000)
    with pytest.raises(DiskFull, match="make room"):
        need_space(tmp_path / "not" / "yet", 1001)
    assert asked == [tmp_path, tmp_path]


def test_space_is_asked_of_the_real_disk(tmp_path: Path) -> None:
    need_space(tmp_path, 1)
    with pytest.raises(DiskFull, match="left on the disk"):
        need_space(tmp_path, 1 << 60)


def test_sizes_are_written_as_people_read_them() -> None:
    assert in_mb(553_433_881) == "528 MB"
    assert in_mb(1_500_000) == "1.4 MB"


def test_an_error_of_the_system_names_the_folder_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="WORDSIGHT_CACHE") as raised, cache_errors(tmp_path / "c"):
        (tmp_path / "c").read_text()
    assert str(tmp_path / "c") in str(raised.value)
    assert "No such file" in str(raised.value)


@pytest.fixture
def unusable_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache below a regular file, where not even root can write."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "file" / "cache"))


@pytest.mark.usefixtures("unusable_cache")
def test_words_and_encoders_both_say_that_the_cache_is_unusable() -> None:
    with pytest.raises(CacheError, match=r"cannot use the cache at .*file/cache.*: Not a directory"):
        open_words(BUNDLED.words)
    with pytest.raises(CacheError, match=r"cannot use the cache at .*file/cache.*: Not a directory"):
        open_encoder(BUNDLED.encoder)


def test_removing_takes_folders_files_and_links_but_not_what_a_link_leads_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "a").write_text("a")
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    for name in ("link", "folder", "nothing"):
        remove(tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
    assert (kept / "a").exists()


def test_the_checksum_is_the_files_sha_256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    assert atomic.fsync_dir(tmp_path / "nowhere") is None
