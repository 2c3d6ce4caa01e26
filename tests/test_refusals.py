"""What is refused, and whether the sentence says what, which value, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import command, misused, refused


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder / "absent", "no folder"),
        (lambda folder: _file(folder / "a.jpg"), "no collection holds the folder of"),
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
    refused(command("query", "similar", picture, "--json", "--paths-only"), "--json excludes --paths-only")
    refused(command("query", "similar", picture, "--plus", "snow", "--vector", "visual"), "semantic")
    refused(command("query", "tags", picture, "--labels", "cat", "--own-labels"), "exclude each other")

    refused(command("query", "text", "cat", "--check"), "--check", "--snapshot")


@pytest.mark.parametrize(
    "command_line", ["ingest run", "ingest export", "ingest verify", "ingest sample", "model train"]
)
def test_a_variable_that_is_not_set_is_not_this_folder(place: Path, command_line: str) -> None:
    misused(command(*command_line.split(), ""), "an empty path")


@pytest.mark.parametrize("question", ["similar", "tags"])
def test_a_variable_that_is_not_set_is_no_picture(place: Path, question: str) -> None:
    refused(command("query", question, ""), "no picture was named")


def test_a_number_that_makes_no_sense_is_refused(place: Path) -> None:
    refused(command("query", "text", "cat", "--min-score", "high"), "'high'")
    refused(command("query", "text", "cat", "--min-score", "nan"), "'nan' is not one")
    refused(command("query", "words", "cat", "--min-score", "nan"), "'nan' is not one")
    misused(command("query", "text", "cat", "--limit", "0"), "is not in the range")
    misused(command("query", "text", "cat", "--limit", str(1 << 70)), "is not in the")


def test_a_device_that_is_none_is_refused(originals: Path) -> None:
    refused(command("ingest", "run", originals, "--offline", "--device", "gpu"), "'gpu'", "auto, cpu, cuda")


def test_a_loop_of_links_is_refused_and_no_traceback(place: Path, tmp_path: Path) -> None:
    loop = _link(tmp_path / "loop")
    refused(command("query", "similar", loop), str(loop))
    refused(command("ingest", "export", loop), str(loop))


def test_an_unknown_collection_lists_those_there_are(place: Path) -> None:
    refused(command("query", "text", "ocean", "--collection", "absent"), "'absent'", "photos")


def test_a_collection_of_another_encoder_is_refused(place: Path) -> None:
    ran = command("ingest", "run", "photos", "--encoder", "vgg16")
    refused(ran, "efficientnet-lite0", "vgg16", "--collection NAME")
    refused(command("ingest", "run", "photos", "--encoder", "resnet"), "resnet", "efficientnet-lite0, resnet50, vgg16")


def test_an_encoder_that_is_not_here_is_refused_with_the_way_to_get_it(originals: Path) -> None:
    refused(command("ingest", "run", originals, "--encoder", "vgg16"), "vgg16", "model fetch")


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


def test_a_home_folder_of_nobody_is_refused(place: Path) -> None:
    for words in (
        ("ingest", "status", "--store", "~nosuchuser/store"),
        ("ingest", "export", "~nosuchuser/snapshot"),
        ("ingest", "run", "~nosuchuser/photos"),
        ("query", "text", "cat", "--snapshot", "~nosuchuser/snapshot"),
        ("query", "similar", "~nosuchuser/cat.jpg"),
        ("query", "text", "cat", "--html", "~nosuchuser/page.html"),
    ):
        refused(command(*words), "~nosuchuser")


def test_no_name_steers_the_terminal_or_breaks_the_line(place: Path) -> None:
    told = command("query", "text", "cat", "--under", "a\x1b[31m\nb")
    assert told.status == 1
    assert told.err.count("\n") == 1
    assert "a\\x1b[31m\\nb" in told.err
