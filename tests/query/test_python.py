"""The public Python interface: `from query import open_collection`, on the real parts."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image

import query
from ingest.errors import CollectionNotFound, StoreUnreachable
from model.errors import PictureError, PictureGone, UsageError, WordsError
from query import Answer, PictureCollection, WordsightError, open_collection
from tests.commands import command
from tests.copies import copy_store

CAT = "photos/cat/chelsea.png"


@pytest.fixture
def photos(place: Path) -> Iterator[PictureCollection]:
    with open_collection() as opened:
        yield opened


def paths(answer: Answer) -> list[str]:
    return [hit.picture.path for hit in answer]


def turned(path: Path) -> bytes:
    """A picture that lies on its side, and says so in its EXIF."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).convert("RGB").transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    return file.getvalue()


def test_the_example_of_its_documentation_runs(place: Path) -> None:
    example = "\n".join(line.removeprefix("    ") for line in query.__doc__.splitlines() if line.startswith("    "))
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=120, check=True)
    lines = command("query", "text", "beach + sunset - people", "-n", "5").rows
    assert [line.split(" ", 1)[1] for line in done.stdout.splitlines()] == [str(place / row[2]) for row in lines]
    assert done.stderr == ""


def test_importing_it_imports_nothing_that_takes_time() -> None:
    script = (
        "import sys, query; print(sorted({'numpy', 'PIL', 'typer', 'ingest', 'onnxruntime', 'torch'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_question_in_words_loads_no_encoder_and_no_torch(place: Path) -> None:
    script = (
        "import sys, query\nwith query.open_collection() as photos: assert len(photos.text('animal', limit=3)) == 3\n"
        "print(sorted({'onnxruntime', 'torch', 'typer', 'qdrant_client'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_words_are_answered_as_by_the_command(photos: PictureCollection, capfd: pytest.CaptureFixture[str]) -> None:
    answer = photos.text("beach + sunset - people", limit=5)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    lines = command("query", "text", "beach + sunset - people", "-n", "5", "--json").json
    assert [(hit.score, hit.file) for hit in answer] == [(line["score"], line["file"]) for line in lines]
    assert (len(answer), answer.total, answer.has_more, answer.collection) == (5, 15, True, "photos")


def test_answers_can_be_filtered_paged_and_cut(photos: PictureCollection) -> None:
    assert paths(photos.text("animal", labels="cat")) == ["cat/chelsea.png"]
    assert set(paths(photos.text("animal", labels=["cat", "moon"]))) == {"cat/chelsea.png", "moon/moon.png"}
    assert paths(photos.text("animal", under="cat")) == ["cat/chelsea.png"]
    assert paths(photos.text("animal", limit=2, offset=1)) == paths(photos.text("animal", limit=3))[1:]
    standing_out = photos.text("motorcycle", limit=15, min_score="auto")
    assert 0 < standing_out.standing < len(standing_out) == 15
    assert standing_out.standing_hits == standing_out.hits[: standing_out.standing]
    assert standing_out.ends.endswith("what follows is only the nearest")
    nothing = photos.text("mortgage", min_score="auto")
    assert (nothing.standing, nothing.standing_hits, len(nothing)) == (0, (), 10)
    assert nothing.ends.startswith("nothing stands out: the nearest picture scores 0.")
    assert "labels there are" in photos.text("animal", labels="absent").why_nothing
    assert photos.text("cat xqzzv").messages == ("no vector for 'xqzzv': try another word; searched without",)


def test_a_picture_is_a_path_an_id_its_bytes_or_an_image(photos: PictureCollection, place: Path) -> None:
    indexed = photos.similar(CAT, limit=3)
    assert indexed.asked is not None
    assert indexed.asked.picture.path == "cat/chelsea.png"
    id = indexed.asked.picture.id
    assert isinstance(id, UUID)
    for same in (Path(CAT), place / CAT, "cat/chelsea.png", id, str(id)):
        assert photos.similar(same, limit=3).hits == indexed.hits
    data = Path(CAT).read_bytes()
    for unseen in (data, bytearray(data), Image.open(CAT)):
        answer = photos.similar(unseen, limit=3)
        assert answer.asked is None
        assert paths(answer)[0] == "cat/chelsea.png"
        assert answer.hits[0].score > 0.9999


def test_a_picture_on_its_side_is_turned_upright(photos: PictureCollection, place: Path) -> None:
    data = turned(place / CAT)
    for picture in (data, Image.open(io.BytesIO(data))):
        best = photos.similar(picture, limit=1).hits[0]
        assert best.picture.path == "cat/chelsea.png"
        assert best.score > 0.9999


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "F"])
def test_images_of_every_mode_are_pictures(photos: PictureCollection, mode: str) -> None:
    image = Image.open(CAT).convert("L" if mode in ("I;16", "F") else "RGB").convert(mode)
    assert len(photos.similar(image, limit=3)) == 3


def test_pictures_and_words_are_added_up_and_subtracted(photos: PictureCollection) -> None:
    both = photos.similar(["cat/chelsea.png", "moon/moon.png"], limit=15)
    assert len(both) == 13
    assert {"cat/chelsea.png", "moon/moon.png"}.isdisjoint(paths(both))
    store = ("--json", "-n", "15")
    moved = command("query", "similar", CAT, "--plus", "snow", "--minus", "road", *store).json
    answer = photos.similar(CAT, plus="snow", minus=["road"], limit=15)
    assert [(hit.score, hit.file) for hit in answer] == [(line["score"], line["file"]) for line in moved]
    fused = command("query", "similar", CAT, "--vector", "both", *store).json
    assert [hit.score for hit in photos.similar(CAT, vector="both", limit=15)] == [line["score"] for line in fused]
    away = photos.similar("cat/chelsea.png", unlike="moon/moon.png", limit=15)
    assert len(away) == 13


def test_tags_are_those_of_the_command(photos: PictureCollection) -> None:
    lines = command("query", "tags", CAT, "--json").json
    assert [(tag.word, tag.score) for tag in photos.tags(CAT)] == [(line["word"], line["score"]) for line in lines]
    assert {tag.word for tag in photos.tags(CAT, labels=["cat", "rocket"])} == {"cat", "rocket"}
    assert photos.tags(CAT, labels=["cat", "rocket"]).tags[0].word == "cat"
    assert len(photos.tags(CAT, own_labels=True, limit=3)) == 3
    Path("some.txt").write_text("cat\nxqzzv\n")
    among = photos.tags(CAT, vocabulary="some.txt")
    assert [tag.word for tag in among] == ["cat"]
    assert among.messages == ("words in some.txt without a vector, left out: xqzzv",)
    Path("some.txt").unlink()


def test_duplicates_are_those_of_the_command(photos: PictureCollection) -> None:
    lines = command("query", "duplicates", "--alike", "--threshold", "0.5", "--json").json
    groups = photos.duplicates(threshold=0.5, alike=True)
    assert [[member.file for member in group.members] for group in groups] == [
        [member["file"] for member in line["pictures"]] for line in lines
    ]
    assert groups


def test_a_snapshot_is_told_by_its_folder_and_a_server_by_its_address(place: Path, tmp_path: Path) -> None:
    assert command("ingest", "export", tmp_path / "snapshot").status == 0
    with open_collection() as live, open_collection(tmp_path / "snapshot") as carried:
        assert paths(carried.text("animal")) == paths(live.text("animal"))
    with open_collection(place / "store", "photos") as named:
        assert named.name == "photos"
    with pytest.raises(StoreUnreachable, match=r"127\.0\.0\.1:9"):
        open_collection("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("kind", "ask", "told"),
    [
        (WordsError, lambda photos: photos.text("ocaen"), "did you mean ocean"),
        (UsageError, lambda photos: photos.text("  "), "nothing to search for"),
        (UsageError, lambda photos: photos.text("- people"), "at least one to look for"),
        (UsageError, lambda photos: photos.text("cat", limit=0), "limit of 0"),
        (UsageError, lambda photos: photos.text("cat", min_score=float("nan")), "'nan'"),
        (UsageError, lambda photos: photos.text("cat", under="/elsewhere"), "not in the dataset"),
        (UsageError, lambda photos: photos.similar("absent.png"), "no file"),
        (UsageError, lambda photos: photos.similar(""), "no picture was named"),
        (UsageError, lambda photos: photos.similar([]), "words or a picture"),
        (UsageError, lambda photos: photos.similar(3), "not a int"),
        (UsageError, lambda photos: photos.similar(CAT, vector="sound"), "'sound': there are visual, semantic, both"),
        (UsageError, lambda photos: photos.similar(CAT, plus="snow", vector="visual"), "semantic"),
        (PictureGone, lambda photos: photos.similar(UUID(int=0)), "no picture 00000000"),
        (PictureError, lambda photos: photos.similar(b"no picture"), "a picture in memory: not a picture"),
        (PictureError, lambda photos: photos.tags(b""), "empty file"),
        (UsageError, lambda photos: photos.tags([]), "no picture to find"),
        (UsageError, lambda photos: photos.tags(CAT, labels="cat", own_labels=True), "exclude each other"),
        (UsageError, lambda photos: photos.duplicates(threshold=2), "2"),
    ],
)
def test_what_cannot_be_answered_is_an_error_of_the_tree(photos: PictureCollection, kind, ask, told: str) -> None:
    assert issubclass(kind, WordsightError)
    with pytest.raises(kind, match=told):
        ask(photos)


def test_a_collection_that_is_not_there_lists_those_that_are(place: Path, tmp_path: Path) -> None:
    with pytest.raises(CollectionNotFound, match="photos"):
        open_collection(collection="absent")
    with pytest.raises(CollectionNotFound, match="ingest run"):
        open_collection(tmp_path / "nothing here")


def test_after_its_end_it_refuses_and_others_have_the_collection(place: Path) -> None:
    with open_collection() as photos:
        assert photos.text("cat")
    photos.close()
    with pytest.raises(UsageError, match="'photos' is closed"):
        photos.text("cat")


def test_others_are_answered_while_it_is_open_and_threads_share_it(place: Path, tmp_path: Path) -> None:
    copy_store(place / "store", tmp_path / "own")
    with open_collection(tmp_path / "own") as photos:
        expected = photos.text("animal").hits
        assert command("query", "text", "animal", "--store", tmp_path / "own").status == 0
        found: list[tuple[object, ...]] = []
        threads = [threading.Thread(target=lambda: found.append(photos.text("animal").hits)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [expected] * 8


def test_other_names_of_the_package_are_private() -> None:
    assert query.__all__ == [
        "Answer",
        "PictureCollection",
        "PictureHit",
        "ServedCollection",
        "TagsAnswer",
        "WordsightError",
        "open_collection",
    ]
    assert all(getattr(query, name).__doc__ for name in query.__all__)
    with pytest.raises(AttributeError, match="no attribute 'secret'"):
        _ = query.secret
