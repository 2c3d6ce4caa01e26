"""The HTTP API: the same questions as the command line's, and the same answers."""

from __future__ import annotations

import io
import json
import shutil
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from ingest.pipeline import ExportOptions, export_collection
from ingest.stores.snapshot import SnapshotStore
from model.encoders import open_encoder
from query.web import uploads
from query.web.answers import noted
from query.web.uploads import Upload
from tests.commands import command
from tests.query.conftest import Photos
from tests.serving import serving

JPEG = {"Content-Type": "image/jpeg"}


def get(client: httpx.Client, path: str, **parameters: Any) -> Any:
    answer = client.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(answer: httpx.Response, status: int, *told: str) -> None:
    """An error as all of them are: one sentence, naming all of ``told``."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() == {"type", "title", "status", "detail", "code"}
    assert answer.json()["status"] == status
    for text in told:
        assert text in answer.json()["detail"]


def picture(client: httpx.Client, path: str) -> dict[str, Any]:
    return next(one for one in get(client, "pictures", limit=100)["results"] if one["path"] == path)


def upload(client: httpx.Client, data: bytes) -> str:
    answer = client.post("/api/v1/uploads", content=data, headers=JPEG)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def unseen(photos: Photos) -> bytes:
    """A crop of a motorcycle that is not in the collection."""
    file = io.BytesIO()
    image = Image.open(photos.folder / "motorcycle" / "motorcycle_left.png").convert("RGB")
    image.crop((60, 40, image.width, image.height)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("arguments", "path", "parameters"),
    [
        (["text", "vehicle", "-n", "5"], "text", {"q": "vehicle", "limit": 5}),
        (["text", "beach + sunset - people", "-n", "3"], "text", {"q": "beach + sunset - people", "limit": 3}),
        (["text", "animal", "--label", "cat", "--label", "moon"], "text", {"q": "animal", "label": ["cat", "moon"]}),
        (["text", "animal", "--under", "cat"], "text", {"q": "animal", "under": "cat"}),
        (["text", "animal", "--min-score", "0.4"], "text", {"q": "animal", "min_score": 0.4}),
    ],
    ids=["limit", "arithmetic", "labels", "folder", "score"],
)
def test_words_are_answered_as_on_the_command_line(
    client: httpx.Client, photos: Photos, arguments: list[str], path: str, parameters: dict[str, Any]
) -> None:
    asked = command("query", *arguments, "--json", "--store", photos.store.root)
    answer = get(client, path, **parameters)
    told = [{"id": one["id"], "score": one["score"]} for one in answer["results"]]
    assert told == [{"id": one["id"], "score": one["score"]} for one in asked.json]
    assert told


def test_a_picture_is_answered_as_on_the_command_line(client: httpx.Client, photos: Photos) -> None:
    store = ["--json", "--store", photos.store.root]
    left = picture(client, "motorcycle/motorcycle_left.png")["id"]
    file = photos.folder / "motorcycle" / "motorcycle_left.png"
    for options, parameters in [
        ([], {}),
        (["--vector", "both"], {"vector": "both"}),
        (["--plus", "snow", "--minus", "road"], {"plus": "snow", "minus": "road"}),
        (["--under", "coffee"], {"under": "coffee"}),
        (["--label", "moon"], {"label": "moon"}),
    ]:
        asked = command("query", "similar", file, *options, *store).json
        answer = get(client, "similar", id=left, **parameters)["results"]
        assert [(one["id"], one["score"]) for one in answer] == [(one["id"], one["score"]) for one in asked]
    below = get(client, "similar", id=left, under="coffee")["results"]
    assert {one["path"] for one in below} == {"coffee/coffee.png", "coffee/turned.jpg"}
    tags = command("query", "tags", file, *store).json
    assert get(client, "tags", id=left)["results"] == tags
    words = command("query", "words", "ocean", *store).json
    assert get(client, "words", q="ocean")["results"] == words


def test_a_picture_that_is_sent_is_asked_about_at_once_or_by_its_id(client: httpx.Client, photos: Photos) -> None:
    data = unseen(photos)
    sent = client.post("/api/v1/similar", params={"limit": 4}, content=data, headers=JPEG).json()
    assert {one["label"] for one in sent["results"][:2]} == {"motorcycle"}
    kept = upload(client, data)
    assert get(client, "similar", id=kept, limit=4) == sent
    tags = client.post("/api/v1/tags", content=data, headers=JPEG).json()
    assert get(client, "tags", id=kept) == tags
    small = client.get(f"/api/v1/pictures/{kept}/thumbnail")
    assert max(Image.open(io.BytesIO(small.content)).size) <= 256


def test_an_upload_is_a_picture_at_every_route(client: httpx.Client, photos: Photos) -> None:
    data = (photos.folder / "cat" / "chelsea.png").read_bytes()
    kept, there = upload(client, data), picture(client, "cat/chelsea.png")
    known = get(client, f"pictures/{kept}")
    assert (known["id"], known["width"], known["height"], known["label"]) == (kept, 451, 300, None)
    for address in (known["original"], known["thumbnail"]):
        assert Image.open(io.BytesIO(client.get(address).content)).format == "JPEG"
    with zipfile.ZipFile(
        io.BytesIO(client.get("/api/v1/archive", params={"id": [kept, there["id"]]}).content)
    ) as files:
        assert files.namelist() == [f"{kept}.jpg", "cat/chelsea.png"]
    mine, stored = get(client, f"pictures/{kept}/vectors"), get(client, f"pictures/{there['id']}/vectors")
    for name in ("visual", "semantic"):
        assert np.allclose(mine[name], stored[name], atol=1e-3)
    assert get(client, "text", q="cat", without=kept)["results"] == get(client, "text", q="cat")["results"]


def test_pages_are_one_answer_in_pieces(client: httpx.Client) -> None:
    whole = get(client, "text", q="animal", limit=50)
    assert whole["next"] is None
    assert len(whole["results"]) == whole["total"] == 16
    pieces, offset = [], 0
    while offset is not None:
        page = get(client, "text", q="animal", limit=5, offset=offset)
        pieces += page["results"]
        offset = page["next"]
    assert pieces == whole["results"]


def test_pictures_are_added_up_and_taken_away(client: httpx.Client) -> None:
    cat, moon = picture(client, "cat/chelsea.png")["id"], picture(client, "moon/moon.png")["id"]
    both = [one["id"] for one in get(client, "similar", id=[cat, moon], limit=50)["results"]]
    assert cat not in both
    assert moon not in both
    moved = get(client, "similar", id=cat, q="moon", minus_id=moon)["results"]
    assert {one["id"] for one in moved}.isdisjoint({cat, moon})
    problem(client.get("/api/v1/similar", params={"id": cat, "minus_id": cat}), 400, "cancel")


def test_what_stands_out_comes_first_and_what_does_not_is_told(client: httpx.Client) -> None:
    every = get(client, "text", q="cat", limit=50, names=False)
    best = get(client, "text", q="cat", limit=50, names=False, min_score="auto")
    floor = best["cutoff"]["semantic"]
    assert [one["id"] for one in best["results"]] == [one["id"] for one in every["results"]]
    assert [one["stands_out"] for one in best["results"]] == [one["score"] >= floor for one in every["results"]]
    assert 0 < best["standing"] < every["total"]
    assert "what follows is only the nearest" in best["ends"]
    assert get(client, "text", q="cat", limit=best["standing"], names=False, min_score="auto")["ends"] == ""
    assert (every["cutoff"], every["standing"], every["ends"]) == (None, None, "")
    assert {one["stands_out"] for one in every["results"]} == {None}


def test_a_name_is_found_and_told(client: httpx.Client) -> None:
    first, *others = get(client, "text", q="chelsea", limit=5)["results"]
    assert (first["path"], first["matched"]) == ("cat/chelsea.png", "name")
    assert {one["matched"] for one in others} == {None}
    assert {one["matched"] for one in get(client, "text", q="chelsea", names=False)["results"]} == {None}


def test_how_a_question_was_read_is_told(client: httpx.Client) -> None:
    answer = get(client, "text", q="a picture of a cat but no coffee")
    assert "read as: cat -coffee" in answer["note"]


def test_collections_tell_labels_and_folders_with_counts(client: httpx.Client) -> None:
    (there,) = get(client, "collections")
    assert (there["name"], there["default"], there["pictures"]) == ("photos", True, 16)
    detail = get(client, "collections/photos")
    assert detail["labels"][0] == {"name": "coffee", "pictures": 2}
    assert {"name": "motorcycle", "pictures": 2} in detail["folders"]
    shown = get(client, "pictures", label="coffee")
    assert (shown["total"], {one["label"] for one in shown["results"]}) == (2, {"coffee"})


def test_errors_are_sentences(client: httpx.Client) -> None:
    problem(client.get("/api/v1/text", params={"q": "motorcycl xqzvw"}), 400, "motorcycl", "did you mean")
    problem(client.get("/api/v1/text", params={"q": "- people"}), 400, "at least one to look for")
    problem(client.get("/api/v1/text"), 400, "q")
    problem(client.get("/api/v1/text", params={"q": "cat", "min_score": "nan"}), 400, "min_score")
    problem(client.get("/api/v1/text", params={"q": "cat", "collection": "nothere"}), 404, "nothere")
    problem(client.get("/api/v1/similar"), 400, "no picture")
    problem(client.get("/api/v1/similar", params={"id": "upload-gone"}), 404, "once more")
    problem(client.get("/api/v1/tags", params={"id": "00000000-0000-0000-0000-000000000000"}), 404, "no picture")
    problem(client.post("/api/v1/similar", content=b"no picture", headers=JPEG), 415, "not a picture")
    problem(client.post("/api/v1/similar", content=b"", headers=JPEG), 400, "no picture in the body")
    problem(client.get("/api/v1/nothing"), 404)
    assert get(client, "text", q="motorcycle xqzvw")["note"].startswith("no vector for 'xqzvw'")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("text?q=cat&after=soon", "after takes a date such as 2019, 2019-07 or 2019-07-03, not 'soon'"),
        ("pictures?near=here", "near takes latitude, longitude and kilometres, such as 48.21,16.37,5, not 'here'"),
        ("text?q=cat&camera=-", "camera takes words of its name, such as 'iphone 12', not '-'"),
        ("text?q=cat&min_score=abc", "min_score is 'abc': it should be a valid number or 'auto'"),
        ("text?q=cat&min_score=nan", "min_score is 'nan': it should be a finite number or 'auto'"),
        (f"similar?{'&id=x' * 21}", "id has 21 values: at most 20 are taken"),
        (f"text?q={'a' * 501}", "q has 501 characters: at most 500 are taken"),
        ("text?q=cat&limit=3&limit=4", "limit is given 2 times: it takes one value"),
        (
            "similar?id=00000000-0000-0000-0000-000000000000&vector=visual&q=cat",
            "words can only be added to the semantic vector: leave out vector=visual",
        ),
        ("tags?id=x&id=y", "id is given 2 times: it takes one value"),
        ("tags.jsonl?labels=xqzvw", "no vector for 'xqzvw': try another word"),
        ("tags.jsonl?labels=cat&own_labels=true", "labels and own_labels exclude each other: choose one"),
        (
            "timeline?after=2020&before=2019-07",
            "no picture is taken from 2020 on and before 2019-07: `after` should be the earlier one",
        ),
    ],
)
def test_what_is_wrong_is_told_by_the_parameters_name(client: httpx.Client, address: str, told: str) -> None:
    answer = client.get(f"/api/v1/{address}")
    problem(answer, 400)
    assert answer.json()["detail"] == told


def test_only_what_was_sent_is_forgotten(client: httpx.Client) -> None:
    id = picture(client, "cat/chelsea.png")["id"]
    answer = client.delete(f"/api/v1/uploads/{id}")
    problem(answer, 404, f"'{id}' is no upload: pictures of a collection are not deleted here")
    assert get(client, f"pictures/{id}")["path"] == "cat/chelsea.png"


def test_a_remark_that_asks_ends_with_that() -> None:
    assert noted(["did you mean sunflower?", "no index"]) == ("did you mean sunflower? No index")


def test_the_documentation_describes_every_question(client: httpx.Client) -> None:
    paths = get(client, "openapi.json")["paths"]
    questions = {"similar", "text", "tags", "words", "collections", "pictures/{id}", "health", "uploads"}
    assert {f"/api/v1/{name}" for name in questions} <= paths.keys()
    assert {f"/api/v1/pictures/{{id}}/{kind}" for kind in ("thumbnail", "original")} <= paths.keys()
    assert "docs.js" in client.get("/api/docs").text
    assert get(client, "health")["status"] == "ok"


def test_thumbnails_and_originals(client: httpx.Client, photos: Photos) -> None:
    turned = picture(client, "coffee/turned.jpg")
    original = client.get(turned["original"])
    assert original.content == (photos.folder / "coffee" / "turned.jpg").read_bytes()
    assert original.headers["content-type"] == "image/jpeg"
    small = Image.open(io.BytesIO(client.get(turned["thumbnail"]).content))
    assert small.size == (256, 171)
    large = Image.open(io.BytesIO(client.get(turned["thumbnail"] + "&size=512").content))
    assert large.size == (512, 341)


def test_fifty_questions_at_once_are_all_answered(client: httpx.Client, photos: Photos) -> None:
    data = unseen(photos)
    asks = [
        lambda: client.get("/api/v1/text", params={"q": "vehicle", "min_score": "auto"}),
        lambda: client.post("/api/v1/similar", content=data, headers=JPEG),
        lambda: client.post("/api/v1/tags", content=data, headers=JPEG),
        lambda: client.get("/api/v1/words", params={"q": "ocean"}),
        lambda: client.get(picture(client, "moon/moon.png")["thumbnail"]),
    ]
    statuses: list[int] = []
    start = threading.Barrier(50)

    def ask(number: int) -> None:
        start.wait()
        statuses.append(asks[number % len(asks)]().status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 50


def test_an_upload_is_seen_as_each_collection_frames_its_pictures(photos: Photos) -> None:
    """Of a wide picture the centre square is another than the whole; each is looked at once."""
    wide = Image.open(photos.folder / "rocket/rocket.jpg").convert("RGB").crop((0, 0, 600, 200))
    file = io.BytesIO()
    wide.save(file, "JPEG")
    upload = Upload("upload-1", file.getvalue(), 600, 200, expires=0.0)
    contexts: list[Any] = []
    for framing in ("whole", "published"):
        encoder = open_encoder("efficientnet-lite0", framing=framing)
        metadata = SimpleNamespace(encoder="efficientnet-lite0", encoder_sha256="0" * 64, framing=framing)
        contexts.append(SimpleNamespace(encoder=encoder, metadata=metadata))
    whole, published = (upload.encoded(context).features for context in contexts)
    assert whole @ published / np.linalg.norm(whole) / np.linalg.norm(published) < 0.95
    assert upload.encoded(contexts[0]).features is whole
    assert upload.encoded(contexts[1]).features is published


def test_uploads_are_kept_within_bounds(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "KEPT", 2)
    with serving(photos.store, "photos") as client:
        first, *others = (upload(client, unseen(photos)) for _ in range(3))
        problem(client.get("/api/v1/similar", params={"id": first}), 404, "once more")
        for kept in others:
            get(client, "similar", id=kept)
    monkeypatch.setattr(uploads, "KEPT_SECONDS", -1.0)
    with serving(photos.store, "photos") as client:
        problem(client.get("/api/v1/similar", params={"id": upload(client, unseen(photos))}), 404, "once more")


def test_a_snapshot_is_served_with_what_it_carries(photos: Photos, tmp_path: Path) -> None:
    """Its pictures were elsewhere: thumbnails are there, originals are not."""
    export_collection(photos.store, "photos", tmp_path / "snapshot", ExportOptions(with_thumbnails=True))
    manifest = tmp_path / "snapshot" / "manifest.json"
    assert json.loads(manifest.read_text())["metadata"]["root"] == str(photos.folder)
    aside = photos.folder.rename(tmp_path / "aside")
    try:
        with serving(SnapshotStore(tmp_path / "snapshot"), "photos") as client:
            found = get(client, "text", q="vehicle", limit=2)["results"]
            assert {one["label"] for one in found} <= {"rocket", "motorcycle"}
            assert client.get(found[0]["thumbnail"]).headers["content-type"] == "image/jpeg"
            problem(client.get(found[0]["original"]), 404, "cannot be read")
    finally:
        shutil.move(aside, photos.folder)
