"""The installed commands, driven as a user would, on good days and bad ones."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from model.system import terminal
from tests.commands import SCRIPTS, command, refused
from tests.copies import copy_store
from tests.photographs import labelled_folder
from tests.terminal import in_terminal


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


def test_a_path_that_would_be_an_option_is_none_for_who_gets_it(place: Path, tmp_path: Path, tags_store: Path) -> None:
    copy_store(tags_store, tmp_path / "store")
    store = ("--store", tmp_path / "store")
    (tmp_path / "few").mkdir()
    shutil.copy("photos/cat/chelsea.png", tmp_path / "few" / "-rf.png")
    assert command("ingest", "run", tmp_path / "few", "--offline", *store).status == 0
    ran = command("query", "text", "cat", "--paths-only", *store, cwd=tmp_path / "few")
    assert ran.out == "./-rf.png\n"


def test_nothing_found_is_status_one_with_a_reason(place: Path) -> None:
    ran = command("query", "text", "cat", "--min-score", "0.999")
    assert (ran.status, ran.out, ran.err) == (1, "", "no picture scores 0.999 or more: the nearest scores 0.6980\n")
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
    ran = command("ingest", "failures", "--store", tmp_path / "none")
    assert (ran.status, ran.out) == (1, "")
    assert "ingest run FOLDER" in ran.err
    assert not (tmp_path / "none").exists()


def test_without_network_the_bundled_pair_is_used_and_that_is_said_once(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.delenv("WORDSIGHT_WORDS")
    shutil.copytree(originals / "cat", tmp_path / "few" / "cat")
    ran = command("ingest", "run", tmp_path / "few")
    assert ran.status == 0
    assert ran.err.count("using the bundled efficientnet-lite0 and minilm instead") == 1
    assert "528 MB" in ran.err
    again = command("ingest", "run", tmp_path / "few")
    assert "bundled" not in again.err


def test_dropping_asks_first(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_store(made / "store", tmp_path / "copy")
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "copy"))
    refused(command("ingest", "drop", "photos", stdin=b"n\n"), "15 pictures", "--yes")
    status, _, told = in_terminal("ingest", "drop", "photos", answers={}, typed=b"n\n")
    assert status == 1
    assert told.startswith("Remove collection 'photos' with 15 pictures? [y/N]:")
    assert told.endswith("'photos' was not removed\n")
    assert command("ingest", "status").status == 0
    assert command("ingest", "drop", "photos", "--yes").status == 0
    assert command("ingest", "status").status == 1
    refused(command("ingest", "drop", "photos", "--yes"), "no collection 'photos'")


class Interrupted(io.StringIO):
    """Where somebody presses Ctrl-C."""

    def readline(self, *_: object) -> str:
        raise KeyboardInterrupt


def test_an_interrupted_question_is_no_answer_and_the_end_of_the_input_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        terminal.confirm("Remove it?")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert not terminal.confirm("Remove it?")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert terminal.confirm("Remove it?")


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


def test_a_head_is_trained_by_model_train_and_used_by_ingest(originals: Path, tmp_path: Path, tags_store: Path) -> None:
    copy_store(tags_store, tmp_path / "store")
    folder = labelled_folder(tmp_path / "two", originals, ("cat", "rocket"), 12)
    head = tmp_path / "head.safetensors"
    trained = command("model", "train", folder, "--out", head, "--offline")
    assert trained.status == 0, trained.err
    assert "trained on 22 pictures of 2 labels, tested on 2" in trained.err
    assert command("ingest", "run", folder, "--offline", "--projection", head).status == 0
    row = command("ingest", "status", "--json").json[0]
    assert (row["projection"], row["trained_labels"]) == ("best", 2)
    tags = command("query", "tags", folder / "cat/00.jpg", "--own-labels", "--json").json
    assert (tags[0]["word"], tags[0]["trained"]) == ("cat", True)
    refused(command("model", "train", originals, "--offline"), "nothing to learn from")
    photo = folder / "cat/00.jpg"
    before = photo.read_bytes()
    refused(command("model", "train", folder, "--out", photo, "--offline"), "is not a projection")
    assert photo.read_bytes() == before
    refused(
        command("ingest", "run", folder, "-c", "x", "--offline", "--projection", folder / "cat/00.jpg"), "projection"
    )
