"""Carrying a collection away with the installed commands: export, ask, verify, on good days and bad ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ingest.cli import app as ingest_app
from query.cli import app as query_app
from tests.commands import Ran, asked, command, refused
from tests.copies import copy_store
from tests.photographs import sample
from tests.snapshots import signed

SNAPSHOT = ("--snapshot", "snapshot")


@pytest.fixture(scope="module")
def made(shared_cache: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``photos``, ``new.jpg`` that is not among them, ``store``, and ``snapshot`` with the encoder."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    place = tmp_path_factory.mktemp("made")
    sample(place / "photos")
    (place / "photos/copies/deep").mkdir(parents=True)
    for name in ("a.png", "b.png", "deep/c.png"):  # equal scores
        shutil.copy(place / "photos/cat/chelsea.png", place / "photos/copies" / name)
    Image.open(place / "photos/cat/chelsea.png").convert("RGB").rotate(8).save(place / "new.jpg", quality=80)
    copy_store(tags_store, place / "store")
    env = {**os.environ, "WORDSIGHT_STORE": str(place / "store"), "WORDSIGHT_CACHE": str(shared_cache)}
    for words in (["run", "photos", "--offline"], ["export", "snapshot", "--with-encoder"]):
        ran = command("ingest", *words, cwd=place, env=env)
        assert (ran.status, ran.out) == (0, ""), ran.err
    (place / "cache").write_text(str(shared_cache))
    assert "photos: 18 pictures in snapshot" in ran.err
    assert "visual: 18 vectors, 1 trees, search_k 18, recall@10 1.000 on 18 of them" in ran.err
    return place


@pytest.fixture
def alone(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As on another machine: no store, nothing in the cache."""
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "no store"))
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "no cache"))
    return place


@pytest.fixture
def linked(alone: Path, tmp_path: Path) -> Path:
    """The snapshot again, to be damaged: its files are links, so replace them, do not write into them."""
    shutil.copytree(alone / "snapshot", tmp_path / "snapshot", copy_function=os.link)
    return tmp_path / "snapshot"


CHELSEA = "photos/cat/chelsea.png"
QUESTIONS = [
    ["similar", CHELSEA],
    ["similar", CHELSEA, "-n", "100", "--json"],
    ["similar", "photos/copies/a.png", "-n", "2"],
    ["similar", "new.jpg", "--json"],
    ["similar", "new.jpg", "--label", "copies", "--label", "cat"],
    ["similar", CHELSEA, "--under", "copies/deep", "--json"],
    ["similar", CHELSEA, "--under", "photos"],
    ["similar", CHELSEA, "--min-score", "0.3"],
    ["similar", CHELSEA, "--min-score", "1", "--json"],
    ["similar", CHELSEA, "--plus", "snow", "--minus", "cat", "--json"],
    ["similar", CHELSEA, "--vector", "both", "--json"],
    ["similar", "new.jpg", "--vector", "both", "--plus", "dog"],
    ["similar", CHELSEA, "--vector", "semantic", "--paths-only"],
    ["text", "animal"],
    ["text", "a red flower - night", "--json"],
    ["text", "animal", "--label", "dragon"],
    ["text", "animal", "--label", "cat", "-0"],
    ["text", "small aminal"],
    ["text", "ocaen"],
    ["tags", CHELSEA, "--json"],
    ["tags", "new.jpg", "-n", "30"],
    ["tags", "new.jpg", "--own-labels", "--json"],
    ["tags", CHELSEA, "--labels", "cat,dog,sea"],
    ["words", "ocean", "--json"],
    ["words", "king - man + woman"],
]


def _with_cache(place: Path) -> dict[str, str]:
    return {**os.environ, "WORDSIGHT_CACHE": (place / "cache").read_text()}


def assert_same(left: Ran, right: Ran) -> None:
    """Equal but for a last digit of a score: two ways to add up float32 products differ by 3e-7."""
    assert (left.status, left.err) == (right.status, right.err)
    scores = re.compile(r"(?m)^[-0-9.]+|(?<=\"score\": )[-0-9.]+")
    assert scores.sub("score", left.out) == scores.sub("score", right.out)
    for one, other in zip(scores.findall(left.out), scores.findall(right.out), strict=True):
        last_digit = 10.0 ** -len(one.partition(".")[2])
        assert float(one) == pytest.approx(float(other), abs=max(2e-6, 1.01 * last_digit * (one != other)))


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_snapshot_answers_like_the_store_it_came_from(
    question: list[str], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = asked(query_app, *question)
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "no store"))
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "no cache"))
    assert_same(asked(query_app, *question, *SNAPSHOT), live)


def test_the_commands_answer_so_too_and_write_the_same_bytes(alone: Path) -> None:
    for question in (["similar", "new.jpg"], ["text", "animal", "--label", "cat", "-0"], ["words", "ocean"]):
        live = command("query", *question, "--store", alone / "store", env=_with_cache(alone))
        assert live.status == 0
        assert command("query", *question, *SNAPSHOT) == live


def test_asking_imports_neither_torch_nor_a_qdrant(alone: Path) -> None:
    for question in (["similar", "new.jpg"], ["text", "animal"], ["tags", CHELSEA], ["words", "ocean"]):
        code = (
            f"import sys, query.__main__; sys.argv = {['query', *question, *SNAPSHOT]!r}\n"
            "try: query.__main__.main()\n"
            "except SystemExit as end: assert not end.code, end.code\n"
            "loaded = {name.partition('.')[0] for name in sys.modules}\n"
            "assert not loaded & {'torch', 'torchvision', 'qdrant_client', 'qdrant_edge', 'grpc'}, loaded\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_a_snapshot_of_another_encoder_cannot_look_at_a_new_picture(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("ingest", "export", tmp_path / "s").status == 0
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "no cache"))
    assert command("query", "similar", CHELSEA, "--snapshot", tmp_path / "s").status == 0
    manifest = tmp_path / "s/manifest.json"
    manifest.write_bytes(
        signed(manifest, lambda record: record["metadata"].update(encoder="vgg16", encoder_sha256="ab"))
    )
    assert command("query", "similar", CHELSEA, "--snapshot", tmp_path / "s").status == 0
    refused(command("query", "similar", "new.jpg", "--snapshot", tmp_path / "s"), "no weights of vgg16", "model fetch")


def test_verify_reports_what_it_found(alone: Path, place: Path) -> None:
    ran = command("ingest", "verify", "snapshot")
    assert ran.status == 0, ran.err
    assert "files are unchanged since the export" in ran.out
    assert "visual: recall@10 1.000" in ran.out
    row = command("ingest", "verify", "snapshot", "--json").json[0]
    assert row["recall"] == {"visual": 1.0, "semantic": 1.0, "word": 1.0}
    assert row["files"] == len(list(Path("snapshot").rglob("*.*"))) - 1


def test_verify_compares_with_the_collection(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = command("ingest", "verify", "snapshot", "--against-collection", "photos")
    assert ran.status == 0, ran.err
    assert "36 answers compared, 0 differences" in ran.out
    refused(
        asked(ingest_app, "verify", "snapshot", "--against-collection", "absent"), "no collection 'absent'", "photos"
    )
    for name in ("photos", "store"):
        shutil.copytree(name, tmp_path / name)
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "store"))
    (tmp_path / "photos/copies/b.png").unlink()
    shutil.copy("new.jpg", tmp_path / "photos/cat/new.jpg")
    shutil.copy("new.jpg", tmp_path / "photos/copies/a.png")
    assert command("ingest", "run", tmp_path / "photos", "--collection", "moved", "--offline").status == 0
    ran = asked(ingest_app, "verify", "snapshot", "--against-collection", "moved")
    assert ran.status == 1
    assert "1 pictures of the collection are not in the snapshot" in ran.out
    assert "1 pictures of the snapshot are not in the collection any more" in ran.out
    assert "1 pictures have changed since the export" in ran.out
    assert "export it again" in ran.err


def test_carried_pictures_are_what_paths_point_to(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "s"
    assert command("ingest", "export", snapshot, "--with-pictures", "--with-thumbnails").status == 0
    shutil.move(snapshot, tmp_path / "elsewhere")
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "no cache"))
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "no store"))
    monkeypatch.chdir(tmp_path / "elsewhere/pictures/cat")
    found = command("query", "similar", "chelsea.png", "--snapshot", tmp_path / "elsewhere", "--paths-only")
    assert found.status == 0, found.err  # indexed as it is: no encoder was asked
    paths = [Path(path) for path in found.out.splitlines()]
    assert len(paths) == 10
    assert all(path.resolve().is_relative_to(tmp_path / "elsewhere/pictures") and path.is_file() for path in paths)
    assert len(list((tmp_path / "elsewhere/thumbnails").iterdir())) == 18
    assert command("ingest", "verify", tmp_path / "elsewhere").status == 0


def test_a_folder_that_is_no_snapshot_is_refused(alone: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for folder in (tmp_path / "absent", tmp_path / "other", alone / "new.jpg"):
        refused(asked(query_app, "text", "animal", "--snapshot", folder), "is no snapshot", "ingest export")
        refused(asked(ingest_app, "verify", folder), "is no snapshot", "ingest export")


@pytest.mark.parametrize("flags", [[], ["--with-encoder"]])
def test_what_is_no_snapshot_is_not_overwritten(flags: list[str], place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("important")
    refused(asked(ingest_app, "export", folder, *flags), "mine exists and is not a snapshot")
    (folder / "manifest.json").write_text('{"name": "a web page"}')
    refused(asked(ingest_app, "export", folder, *flags), "is not replaced", "remove it, or name another folder")
    refused(asked(ingest_app, "export", folder / "thesis.txt", *flags), "exists and is not a snapshot")
    refused(asked(ingest_app, "export", folder / "thesis.txt" / "s", *flags), "thesis.txt")
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "thesis.txt"]


def test_options_out_of_range_are_refused(place: Path, tmp_path: Path) -> None:
    for words in (["--trees", "0"], ["--recall", "1.5"], ["--seed", "-1"], ["--seed", str(2**31)]):
        ran = asked(ingest_app, "export", tmp_path / "s", *words)
        assert ran.status == 2
        assert "Invalid value" in ran.err
    refused(asked(ingest_app, "export", tmp_path / "s", "--collection", "absent"), "no collection 'absent'")
    assert not list(tmp_path.glob("**/s*"))


def test_a_disk_that_gets_full_leaves_the_old_snapshot_whole(place: Path, tmp_path: Path) -> None:
    """The room that the export foresees is there first, and then taken by somebody else."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        assert command("ingest", "export", disk / "s").status == 0
        before = sorted((path.name, path.stat().st_mtime_ns) for path in (disk / "s").rglob("*"))
        code = (
            "import sys, shutil, ingest.__main__, ingest.pipeline.exporting as export\n"
            "export.need_space = lambda folder, wanted: None\n"
            f"sys.argv = ['ingest', 'export', {str(disk / 's')!r}]\n"
            "ingest.__main__.main()\n"
        )
        for room in (1 << 16, 6 << 20, 60 << 20):
            fill = shutil.disk_usage(disk).free - room
            with (disk / "other").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, fill)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            ran = Ran(done.returncode, done.stdout, done.stderr)
            assert "Traceback" not in ran.err, ran.err
            refused(ran, "cannot write", "No space left on device", "what was there is as before")
            assert sorted((path.name, path.stat().st_mtime_ns) for path in (disk / "s").rglob("*")) == before
            assert sorted(path.name for path in disk.iterdir()) == ["other", "s"]
            refused(asked(ingest_app, "export", disk / "s"), "left on the disk", "needed")  # foreseen
            (disk / "other").unlink()
        assert command("ingest", "verify", disk / "s").status == 0
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "visual.ann", "pictures.parquet", "word.ann", "words/vectors.f32", "projection.safetensors"],
)
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "a folder"])
def test_a_damaged_file_is_named(name: str, damage: str, linked: Path) -> None:
    path = linked / name
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 3] ^= 16
        path.write_bytes(data)
    elif damage == "a folder":
        path.mkdir()
    told = "is no snapshot" if (name, damage) == ("manifest.json", "missing") else path.name
    questions = {
        "visual.ann": ["similar", CHELSEA],
        "word.ann": ["tags", CHELSEA],
        "projection.safetensors": ["similar", "new.jpg"],
    }
    refused(asked(query_app, *questions.get(name, ["text", "animal"]), "--snapshot", linked), told)
    refused(asked(ingest_app, "verify", linked), told)


def test_damage_that_left_no_trace_in_the_file_times_is_found_when_asked_for(linked: Path) -> None:
    """A file that was checked once is not read again, unless --check says so."""
    path = linked / "semantic.ann"
    data, status = bytearray(path.read_bytes()), path.stat()
    path.unlink()  # the link; a file of its own takes its place
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    question = ["text", "animal", "--snapshot", linked]
    assert asked(query_app, *question).status == 0
    data[-1] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert asked(query_app, *question).status == 0
    refused(asked(query_app, *question, "--check"), "semantic.ann")


def test_swapped_files_are_named(linked: Path) -> None:
    (linked / "visual.ann").rename(linked / "x")
    (linked / "semantic.ann").rename(linked / "visual.ann")
    (linked / "x").rename(linked / "semantic.ann")
    refused(asked(query_app, "similar", CHELSEA, "--snapshot", linked), "visual.ann")
    refused(asked(query_app, "text", "animal", "--snapshot", linked), "semantic.ann")
    refused(asked(ingest_app, "verify", linked), ".ann")


def test_a_file_that_does_not_belong_there_is_named_by_verify(linked: Path) -> None:
    (linked / "words/more.txt").write_text("more")
    refused(asked(ingest_app, "verify", linked), "words/more.txt")


def test_read_only_media_can_be_asked(linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = linked.with_name("mounted")
    mounted.mkdir()
    bind = subprocess.run(["mount", "--bind", linked, mounted], check=False).returncode == 0
    if not bind:
        shutil.rmtree(mounted)
        shutil.copytree(linked, mounted)
        for path in [mounted, *mounted.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        if bind:
            subprocess.run(["mount", "-o", "remount,ro,bind", mounted], check=True)
        monkeypatch.setenv("WORDSIGHT_CACHE", str(mounted / "cache"))
        for question in (["similar", "new.jpg"], ["text", "animal"], ["tags", CHELSEA], ["words", "ocean"]):
            ran = command("query", *question, "--snapshot", mounted)
            assert ran.status == 0, ran.err
            assert ran.err == ""
        assert command("ingest", "verify", mounted).status == 0
        monkeypatch.setenv("WORDSIGHT_CACHE", "/dev/null/cache")
        assert command("query", "text", "animal", "--snapshot", mounted).status == 0
    finally:
        if bind:
            subprocess.run(["umount", mounted], check=True)
