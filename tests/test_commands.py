"""The installed commands, driven as a user would, on good days and bad ones."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from tests.commands import SCRIPTS, Ran, command, refused
from tests.photographs import labelled_folder, sample


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    return sample(tmp_path_factory.mktemp("originals"))


@pytest.fixture(scope="module")
def made(originals: Path, shared_cache: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``photos`` (the sample) and ``store`` (its collection), made by the command."""
    place = tmp_path_factory.mktemp("made")
    shutil.copytree(originals, place / "photos")
    shutil.copytree(tags_store, place / "store")
    env = {**os.environ, "WORDSIGHT_STORE": str(place / "store"), "WORDSIGHT_CACHE": str(shared_cache)}
    ran = command("ingest", "run", "photos", "--offline", cwd=place, env=env)
    assert (ran.status, ran.out) == (0, ""), ran.err
    assert "photos: 15 pictures; 15 new" in ran.err
    return place


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORDSIGHT_STORE", str(made / "store"))
    monkeypatch.chdir(made)
    return made


def test_an_unseen_copy_is_found_by_file_and_by_standard_input(place: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.jpg"
    Image.open("photos/cat/chelsea.png").convert("RGB").save(new, quality=80)
    by_file = command("query", "similar", new, "-n", "1", "--json").json[0]
    by_stdin = command("query", "similar", "-", "-n", "1", "--json", stdin=new.read_bytes()).json[0]
    assert by_file == by_stdin
    assert by_file["path"] == "cat/chelsea.png"
    assert by_file["label"] == "cat"
    assert by_file["score"] > 0.9
    assert Path(by_file["file"]) == place / "photos/cat/chelsea.png"


def test_paths_come_alone_and_ending_in_nul(place: Path) -> None:
    plain = command("query", "text", "animal", "-n", "3", "--paths-only")
    null = command("query", "text", "animal", "-n", "3", "-0")
    assert plain.out.splitlines() == null.out.rstrip("\0").split("\0")
    assert all(Path(path).is_file() for path in plain.out.splitlines())


def test_paths_from_elsewhere_are_absolute(place: Path, tmp_path: Path) -> None:
    ran = command("query", "text", "animal", "-n", "1", "--paths-only", cwd=tmp_path)
    assert Path(ran.out.strip()).is_absolute()
    assert Path(ran.out.strip()).is_file()


def test_nothing_found_is_status_one_with_a_reason(place: Path) -> None:
    ran = command("query", "text", "cat", "--min-score", "0.999")
    assert (ran.status, ran.out, ran.err) == (1, "", "no picture found\n")
    ran = command("query", "text", "cat", "--label", "dragon")
    assert ran.status == 1
    assert "no label dragon; labels there are:" in ran.err


def test_unknown_words_are_named_and_the_known_ones_asked(place: Path) -> None:
    ran = command("query", "text", "small aminal")
    assert ran.status == 0
    assert "no vector for 'aminal': did you mean final, animal" in ran.err
    refused(command("query", "text", "ocaen"), "ocaen", "did you mean ocean")


def test_a_reader_that_closes_the_pipe_leaves_no_traceback(place: Path) -> None:
    run = f"{SCRIPTS / 'query'} words ocean -n 100000 | head -n 1"
    done = subprocess.run(["bash", "-c", run], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("0.8")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_standard_output_that_cannot_be_written_is_a_failure(place: Path) -> None:
    for end in ("> /dev/full", ">&-"):
        run = f"{SCRIPTS / 'query'} text ocean {end}"
        done = subprocess.run(["bash", "-c", run], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


def test_the_version_is_told_by_every_command() -> None:
    assert {command(name, "--version").out for name in ("ingest", "query", "model")} == {"wordsight 0.1.0\n"}


def test_status_tells_what_is_there(place: Path) -> None:
    row = command("ingest", "status", "--json").json[0]
    assert (row["collection"], row["pictures"], row["labels"]) == ("photos", 15, 14)
    assert (row["encoder"], row["words"], row["projection"]) == ("efficientnet-lite0", "glove-6b-50d", "conse")
    assert row["folder"] == str(place / "photos")
    assert row["bytes"] > 15 * 4 * 1280
    assert "pictures    15, labels 14" in command("ingest", "status").out


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    ran = command("ingest", "status", "--store", tmp_path / "none")
    assert ran.status == 1
    assert "ingest run FOLDER" in ran.err
    refused(command("query", "text", "ocean", "--store", tmp_path / "none"), "ingest run FOLDER")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder / "absent", "no folder"),
        (lambda folder: _file(folder / "a.jpg"), "is a file"),
        (lambda folder: folder, "no pictures in"),
        (lambda folder: _file(folder / "notes.txt").parent, "1 .txt"),
        (lambda folder: _link(folder / "loop"), "loop"),
    ],
    ids=["absent", "a file", "empty", "no pictures", "a link to itself"],
)
def test_a_folder_that_cannot_be_ingested_is_refused(tmp_path: Path, make, told: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    target = make(folder)
    refused(command("ingest", "run", target, "--offline"), str(target), told)
    assert command("ingest", "status").status == 1


def _file(path: Path) -> Path:
    path.write_bytes(b"x")
    return path


def _link(path: Path) -> Path:
    path.symlink_to(path)
    return path


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", " "])
def test_a_collection_name_that_could_leave_the_store_is_refused(originals: Path, name: str) -> None:
    ran = command("ingest", "run", originals, "--offline", "--collection", name or "/")
    refused(ran, "cannot name a collection")


def test_a_query_picture_that_is_none_is_refused(place: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    refused(command("query", "similar", text), str(text), "not a picture")
    refused(command("query", "similar", tmp_path / "absent.jpg"), "absent.jpg", "no file")
    refused(command("query", "tags", tmp_path), str(tmp_path), "is a folder")
    refused(command("query", "similar", "-"), "empty file")


def test_options_that_contradict_each_other_are_refused(place: Path) -> None:
    picture = "photos/cat/chelsea.png"
    refused(command("query", "similar", picture, "--json", "--paths-only"), "exclude each other")
    refused(command("query", "similar", picture, "--plus", "snow", "--vector", "visual"), "semantic")
    refused(command("query", "tags", picture, "--labels", "cat", "--own-labels"), "exclude each other")


def test_an_unknown_collection_lists_those_there_are(place: Path) -> None:
    refused(command("query", "text", "ocean", "--collection", "absent"), "'absent'", "photos")


def test_a_collection_of_another_encoder_is_refused(place: Path) -> None:
    ran = command("ingest", "run", "photos", "--encoder", "vgg16")
    refused(ran, "efficientnet-lite0", "vgg16", "--collection NAME")
    refused(command("ingest", "run", "photos", "--encoder", "resnet"), "resnet", "efficientnet-lite0, vgg16")


def test_an_encoder_that_is_not_here_is_refused_with_the_way_to_get_it(originals: Path) -> None:
    refused(command("ingest", "run", originals, "--encoder", "vgg16"), "vgg16", "model fetch")


def test_without_network_the_bundled_pair_is_used_and_that_is_said_once(
    originals: Path, tmp_path: Path, tags_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
    shutil.copytree(tags_store, tmp_path / "store")
    shutil.copytree(originals / "cat", tmp_path / "few" / "cat")
    started = time.monotonic()
    ran = command("ingest", "run", tmp_path / "few")
    assert ran.status == 0
    assert ran.err.count("going on with the bundled") == 1
    assert "528 MB" in ran.err
    assert time.monotonic() - started < 60
    again = command("ingest", "run", tmp_path / "few")
    assert "bundled" not in again.err


def test_a_cache_that_cannot_be_written_is_refused(originals: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "file" / "cache"))
    refused(command("ingest", "run", originals, "--offline"), str(tmp_path / "file"), "WORDSIGHT_CACHE")


def test_a_store_that_is_a_file_is_refused(originals: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(command("ingest", "run", originals, "--offline", "--store", tmp_path / "file"), "is a file")
    refused(command("query", "text", "ocean", "--store", tmp_path / "file"), "is a file")


def test_a_server_that_is_down_is_refused(place: Path) -> None:
    refused(command("query", "text", "ocean", "--url", "http://127.0.0.1:9"), "http://127.0.0.1:9")


def test_dropping_asks_first(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made / "store", tmp_path / "copy")
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "copy"))
    refused(command("ingest", "drop", "photos", stdin=b"n\n"), "15 pictures", "--yes")
    assert command("ingest", "status").status == 0
    assert command("ingest", "drop", "photos", "--yes").status == 0
    assert command("ingest", "status").status == 1
    refused(command("ingest", "drop", "photos", "--yes"), "no collection 'photos'")


@pytest.mark.parametrize(
    "line",
    [
        ("query", "--help"),
        ("ingest", "--help"),
        ("model", "--help"),
        ("query", "text", "ocean"),
        ("query", "similar", "photos/cat/chelsea.png"),
        ("query", "tags", "photos/cat/chelsea.png"),
        ("query", "similar", "-"),
        ("query", "words", "ocean"),
        ("model", "info"),
    ],
    ids=" ".join,
)
def test_no_torch_is_imported(place: Path, line: tuple[str, ...]) -> None:
    program, *arguments = line
    code = (
        f"import sys; sys.argv = {[program, *arguments]!r}\n"
        f"from {program}.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted(m for m in ('torch', 'torchvision', 'qdrant_client') if m in sys.modules))\n"
    )
    data = Path("photos/coffee/coffee.png").read_bytes()
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, timeout=60, check=False)
    assert done.stdout.decode().splitlines()[-1] == "[]", done.stderr.decode()


class Answers(BaseHTTPRequestHandler):
    """What the web may answer instead of a picture."""

    picture = b""

    def do_GET(self) -> None:
        match self.path:
            case "/picture.png":
                self._send(200, self.picture)
            case "/html":
                self._send(200, b"<html><body>not a picture</body></html>")
            case "/moved":
                self.send_response(302)
                self.send_header("Location", "/picture.png")
                self.end_headers()
            case "/endless":
                self.send_response(200)
                self.send_header("Content-Length", str(2 << 30))
                self.end_headers()
                for _ in range(2 << 10):
                    self.wfile.write(bytes(1 << 20))
            case "/silent":
                time.sleep(3)
            case _:
                self._send(404, b"")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is what these tests are about."""


@pytest.fixture
def web(originals: Path) -> Iterator[str]:
    Answers.picture = (originals / "cat/chelsea.png").read_bytes()
    server = QuietServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("page", ["picture.png", "moved"])
def test_a_picture_is_asked_about_by_its_address(place: Path, web: str, page: str) -> None:
    ran = command("query", "similar", f"{web}/{page}", "-n", "1")
    assert ran.status == 0, ran.err
    assert ran.rows[0][1] == "cat"


@pytest.mark.parametrize(
    ("page", "told"),
    [("absent", "404"), ("html", "not a picture"), ("endless", "more than 50 MB")],
)
def test_an_address_without_a_picture_is_refused(place: Path, web: str, page: str, told: str) -> None:
    refused(command("query", "similar", f"{web}/{page}"), f"{web}/{page}", told)


def test_an_address_that_does_not_answer_in_time_is_refused(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from model.errors import PictureError
    from query import source

    monkeypatch.setattr(source, "READ_TIMEOUT_SECONDS", 0.3)
    with pytest.raises(PictureError, match="in time"):
        source.Source(f"{web}/silent").read()


def start(*words: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [SCRIPTS / str(words[0]), *map(str, words[1:])], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@pytest.fixture
def large(originals: Path, tmp_path: Path, tags_store: Path) -> Path:
    """Enough pictures for some seconds of ingestion."""
    shutil.copytree(tags_store, tmp_path / "store")
    labels = ("cat", "coffee", "rocket", "moon", "flower", "temple", "coins", "astronaut")
    return labelled_folder(tmp_path / "large", originals, labels, 60)


def wait_for_pictures(count: int, process: subprocess.Popen[bytes]) -> float:
    """Ask until ``count`` pictures can be found; returns how long the slowest answer took."""
    slowest, deadline = 0.0, time.monotonic() + 60
    while time.monotonic() < deadline:
        started = time.monotonic()
        ran = command("query", "text", "cat", "-n", "500", "--paths-only", "-c", "large")
        if ran.status == 0:
            slowest = max(slowest, time.monotonic() - started)
            if len(ran.out.splitlines()) >= count:
                return slowest
        assert process.poll() is None, "the ingest ended before it was looked at"
        time.sleep(0.05)
    raise AssertionError(f"{count} pictures never came")


def test_a_query_during_an_ingest_is_answered_and_a_second_ingest_is_told(large: Path) -> None:
    process = start("ingest", "run", large, "--offline", "--projection", "conse")
    try:
        assert wait_for_pictures(64, process) < 5
        assert command("ingest", "status", "--json").json[0]["pictures"] >= 64
        refused(command("ingest", "run", large, "--offline"), "'large'", "written by another process")
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.communicate()
    assert command("ingest", "status", "--json").json[0]["pictures"] == 480


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_ingest_that_is_stopped_leaves_a_good_index_and_is_gone_on_with(
    large: Path, number: signal.Signals, status: int
) -> None:
    process = start("ingest", "run", large, "--offline", "--projection", "conse")
    wait_for_pictures(64, process)
    process.send_signal(number)
    if number == signal.SIGINT:  # whoever is impatient presses it again
        for _ in range(5):
            time.sleep(0.03)
            process.send_signal(number)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == status
    assert "Traceback" not in told
    if number == signal.SIGINT:
        assert "interrupted after" in told
        assert "of 480" in told
    there = len(command("query", "text", "cat", "-n", "500", "--paths-only").out.splitlines())
    assert 64 <= there < 480
    if number == signal.SIGINT:
        assert f"large: {there} pictures; {there} new" in told
    again: Ran = command("ingest", "run", large, "--offline")
    assert f"large: 480 pictures; {480 - there} new, {there} unchanged" in again.err
    assert not list((large.parent / "store").rglob("*.tmp"))


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2, 0.3])
def test_an_interrupt_while_it_starts_ends_it_without_a_word(large: Path, seconds: float) -> None:
    process = start("ingest", "run", large, "--offline", "--projection", "conse")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode in (130, -signal.SIGINT)  # Python itself was not ready
    assert "cli" not in told, told


def test_a_head_is_trained_by_model_train_and_used_by_ingest(originals: Path, tmp_path: Path, tags_store: Path) -> None:
    shutil.copytree(tags_store, tmp_path / "store")
    folder = labelled_folder(tmp_path / "two", originals, ("cat", "rocket"), 12)
    head = tmp_path / "head.safetensors"
    trained = command("model", "train", folder, "--out", head, "--offline")
    assert trained.status == 0, trained.err
    assert "trained on 20 pictures of 2 labels, tested on 4" in trained.err
    assert command("ingest", "run", folder, "--offline", "--projection", head).status == 0
    row = command("ingest", "status", "--json").json[0]
    assert (row["projection"], row["trained_labels"]) == ("joint", 2)
    tags = command("query", "tags", folder / "cat/00.jpg", "--own-labels", "--json").json
    assert (tags[0]["word"], tags[0]["trained"]) == ("cat", True)
    refused(command("model", "train", originals, "--offline"), "nothing to learn from")
    photo = folder / "cat/00.jpg"
    before = photo.read_bytes()
    refused(command("model", "train", folder, "--out", photo, "--offline"), "is no projection")
    assert photo.read_bytes() == before
    refused(
        command("ingest", "run", folder, "-c", "x", "--offline", "--projection", folder / "cat/00.jpg"), "projection"
    )
