"""All of a collection over HTTP: page after page, by date, as files, as groups; and several questions at once."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.records import stable_id
from ingest.stores.embedded import EmbeddedStore
from query.web.archive import LEFT_OUT, Packed, zipped
from query.web.catalogue import Catalogues, Entry, Order, cursor_after, in_order
from tests.query.conftest import Photos
from tests.query.test_web_api import get, picture, problem
from tests.serving import serving


def every(client: httpx.Client, limit: int = 5, **asked: Any) -> list[dict[str, Any]]:
    """All pictures, by the cursor of each page."""
    found, cursor = [], ""
    while cursor is not None:
        page = get(client, "pictures", limit=limit, cursor=cursor, **asked)
        found += page["results"]
        cursor = page["cursor"]
    return found


def test_all_pictures_are_had_page_after_page_in_any_order(client: httpx.Client) -> None:
    whole = get(client, "pictures", limit=100)["results"]
    assert len(whole) == 16
    assert every(client) == whole
    paths = [one["path"] for one in every(client, sort="name")]
    assert paths == sorted(one["path"] for one in whole)
    dates = [one["taken"][:19] for one in every(client, sort="date")]
    assert dates == sorted(dates)
    assert [one["taken"][:19] for one in every(client, sort="-date")] == sorted(dates, reverse=True)
    assert [one["path"] for one in every(client, label="coffee", sort="name")] == [
        "coffee/coffee.png",
        "coffee/turned.jpg",
    ]
    assert get(client, "pictures", offset=1_000_000)["results"] == []


def test_a_cursor_goes_on_where_it_was_though_pictures_were_added_before_it() -> None:
    entries = [Entry(stable_id(name), 0, "", name) for name in "bcd"]
    before = in_order(entries, Order.NAME)
    cursor = cursor_after(1, str(before.entries[0].id))
    later = in_order([Entry(stable_id("a"), 0, "", "a"), *entries], Order.NAME)
    assert later.entries[later.after(cursor)].path == "c"
    assert before.after(cursor) == 1


@pytest.mark.parametrize("cursor", ["x", "é", "e30", "W10", "WzEsMl0", "WyJ4IiwiIl0", "Wy0xLCIiXQ"])
def test_what_is_no_cursor_is_refused(client: httpx.Client, cursor: str) -> None:
    problem(client.get("/api/v1/pictures", params={"cursor": cursor}), 400, "no cursor")
    problem(client.get("/api/v1/text", params={"q": "cat", "cursor": cursor}), 400, "no cursor")


def test_answers_to_questions_have_cursors_and_other_orders(client: httpx.Client) -> None:
    first = get(client, "text", q="animal", limit=4)
    again = get(client, "text", q="animal", limit=4, cursor=first["cursor"])
    assert again["results"] == get(client, "text", q="animal", limit=4, offset=4)["results"]
    by_name = [one["path"] for one in get(client, "text", q="animal", sort="name", limit=100)["results"]]
    assert by_name == sorted(by_name)
    pages = get(client, "text", q="animal", sort="name", limit=6, offset=6)
    assert [one["path"] for one in pages["results"]] == by_name[6:12]
    problem(client.get("/api/v1/text", params={"q": "cat", "offset": 10_001}), 400, "at most 10000")


def test_months_say_where_their_pictures_begin(client: httpx.Client) -> None:
    timeline = get(client, "timeline", sort="-date")
    assert timeline["total"] == sum(month["pictures"] for month in timeline["months"]) == 16
    oldest = get(client, "timeline")
    assert oldest == get(client, "timeline", sort="name") == get(client, "timeline", sort="date")
    assert [one["month"] for one in oldest["months"]] == [one["month"] for one in timeline["months"]][::-1]
    assert len({one["month"] for one in oldest["months"]}) == len(oldest["months"])
    for month in timeline["months"]:
        (first,) = get(client, "pictures", sort="-date", limit=1, offset=month["offset"])["results"]
        assert first["taken"].startswith(month["month"])


def test_lists_are_made_once_and_the_last_ones_are_kept() -> None:
    catalogues, made = Catalogues(), []

    def make(key: int) -> None:
        catalogues.get(key, lambda: made.append(key) or in_order([], Order.ID))  # type: ignore[func-returns-value]

    for key in [0, 0, *range(1, 9), 0]:
        make(key)
    assert made == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]


def test_several_questions_in_one_request_are_answered_each_by_itself(client: httpx.Client) -> None:
    id = picture(client, "cat/chelsea.png")["id"]
    asked = [
        {"ask": "text", "q": "cat", "limit": 2},
        {"ask": "similar", "id": [id], "limit": 2},
        {"ask": "tags", "id": id, "limit": 3},
        {"ask": "words", "q": "cat", "limit": 3},
        {"ask": "text", "q": "xqzvw"},
        {"ask": "text", "q": "cat", "collection": "nothere"},
        {"ask": "text", "q": "cat", "limit": "5"},
        {"ask": "text", "q": "cat", "min_score": False},
        {"ask": "text", "q": "cat", "names": 1},
        {"ask": "text"},
        {"ask": "text", "q": "cat", "colour": "red"},
        {"ask": "similar", "id": id, "limit": 2},
        {"ask": "text", "q": "cat", "cursor": "x"},
        {"ask": ["text"]},
        "cat",
    ]
    answers = client.post("/api/v1/questions", json={"questions": asked}).json()["answers"]
    assert answers[0]["answer"] == get(client, "text", q="cat", limit=2)
    assert answers[1]["answer"] == get(client, "similar", id=id, limit=2)
    assert answers[2]["answer"] == get(client, "tags", id=id, limit=3)
    assert answers[3]["answer"] == get(client, "words", q="cat", limit=3)
    assert [one["problem"] and one["problem"]["code"] for one in answers[:6]] == [None] * 4 + [
        "unknown-word",
        "no-collection",
    ]
    assert answers[11]["answer"] == answers[1]["answer"]
    assert [one["problem"]["detail"] for one in answers[6:] if one["problem"]] == [
        "limit is '5': integer is wanted",
        "min_score is 'False': number or string is wanted",
        "names is '1': boolean is wanted",
        "q is missing",
        "there is no parameter 'colour': /api/docs lists them",
        "that is no cursor: give one back as an answer had it in `cursor`",
        "a question says what it asks: text, similar, tags, words in `ask`, not \"['text']\"",
        "a question says what it asks: text, similar, tags, words in `ask`, not 'None'",
    ]
    for wrong, told in [
        (b"{}", "no questions"),
        (b"[" * 4000, "no questions"),
        (b'{"questions":[]}', "no questions"),
        (b'{"questions":{"ask":"text","q":"cat"}}', "no questions"),
        (b'{"questions":[{}],"collection":"photos"}', "no questions"),
        (json.dumps({"questions": [{}] * 51}).encode(), "51 questions: at most 50 are taken at once"),
        (b"x" * (1 << 19), "send a smaller"),
    ]:
        answer = client.post("/api/v1/questions", content=wrong, headers={"Content-Type": "application/json"})
        problem(answer, 413 if len(wrong) > 1 << 18 else 400, told)


def test_vectors_are_given_on_request(client: httpx.Client) -> None:
    one = picture(client, "cat/chelsea.png")
    vectors = get(client, f"pictures/{one['id']}/vectors")
    assert (len(vectors["visual"]), len(vectors["semantic"])) == (1280, 50)
    problem(client.get(f"/api/v1/pictures/{stable_id('nothere')}/vectors"), 404)
    assert one["collection"] == "photos"


def test_words_for_all_pictures_come_as_lines_of_json(client: httpx.Client) -> None:
    answer = client.get("/api/v1/tags.jsonl", params={"limit": 2, "under": "cat"})
    assert answer.headers["content-type"] == "application/jsonl"
    (line,) = map(json.loads, answer.text.splitlines())
    assert line["path"] == "cat/chelsea.png"
    assert line["tags"] == get(client, "tags", id=line["id"], limit=2)["results"]
    assert len(client.get("/api/v1/tags.jsonl").text.splitlines()) == 16


def test_files_are_sent_together(client: httpx.Client, photos: Photos) -> None:
    ids = [picture(client, path)["id"] for path in ("cat/chelsea.png", "coffee/turned.jpg")]
    answer = client.get("/api/v1/archive", params={"id": [*ids, ids[0]]})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["cat/chelsea.png", "coffee/turned.jpg"]
        turned = photos.folder / "coffee" / "turned.jpg"
        assert archive.read("coffee/turned.jpg") == turned.read_bytes()
        written = time.localtime(turned.stat().st_mtime // 2 * 2)  # a ZIP counts by two seconds
        assert archive.getinfo("coffee/turned.jpg").date_time == written[:6]
    problem(client.get("/api/v1/archive"), 400, "id is missing")
    problem(client.get("/api/v1/archive", params={"id": str(stable_id("nothere"))}), 404)


def test_what_cannot_be_read_is_named_in_the_zip(tmp_path: Path) -> None:
    from model.errors import PictureGone

    def gone() -> io.BytesIO:
        raise PictureGone("the file is not there")

    files = [
        Packed("a.jpg", 0, lambda: io.BytesIO(b"1")),
        Packed("a.jpg", 1 << 62, lambda: io.BytesIO(b"2")),
        Packed("b.jpg", 0, gone),
    ]
    data = b"".join(zipped(files))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["a.jpg", "a (2).jpg", LEFT_OUT]
        assert archive.read(LEFT_OUT) == b"b.jpg: the file is not there\n"
        assert [one.date_time for one in archive.infolist()[:2]] == [(1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)]


def test_groups_of_pictures_that_are_one(client: httpx.Client, photos: Photos) -> None:
    found = get(client, "duplicates", threshold=0.9)
    assert found["total"] == len(found["groups"])
    for group in found["groups"]:
        assert len(group["members"]) > 1
        assert group["members"][0]["kind"] == "copy"


def test_what_could_not_be_indexed_is_listed(client: httpx.Client) -> None:
    assert get(client, "collections/photos/failures") == {"collection": "photos", "failures": []}
    assert get(client, "status")["pictures"] == 16


def test_all_collections_are_asked_at_once(two: EmbeddedStore, shared_cache: Path) -> None:
    with serving(two, "photos") as client:
        whole = every(client, collection="all", sort="name")
        assert len(whole) == 18
        assert {one["collection"] for one in whole} == {"photos", "other"}
        of_other = next(one for one in whole if one["collection"] == "other")
        found = get(client, "similar", id=of_other["id"], collection="all", limit=3)
        assert found["results"][0]["path"] == of_other["path"].removeprefix("other/")
        assert found["results"][0]["collection"] == "photos"
        texts = get(client, "text", q="cat", collection="all", limit=18)
        assert texts["total"] == 18
        assert get(client, f"pictures/{of_other['id']}", collection="all")["collection"] == "other"
        problem(client.get(f"/api/v1/pictures/{of_other['id']}"), 404)
        sent = client.post(
            "/api/v1/similar?collection=all&limit=2",
            content=client.get(get(client, "pictures", limit=1)["results"][0]["thumbnail"]).content,
            headers={"Content-Type": "image/jpeg"},
        ).json()
        assert (sent["collection"], sent["total"]) == ("other, photos", 18)


def test_what_is_asked_of_all_collections_is_answered_by_all_or_refused(two: EmbeddedStore, shared_cache: Path) -> None:
    with serving(two, "photos") as client:
        (of_other, _) = get(client, "pictures", collection="other")["results"]
        tags = get(client, "tags", id=of_other["id"], collection="all", limit=2)
        assert (tags["collection"], len(tags["results"])) == ("other", 2)
        assert get(client, f"pictures/{of_other['id']}/vectors", collection="all")["collection"] == "other"
        lines = client.get("/api/v1/tags.jsonl?collection=all&limit=1").text.splitlines()
        assert [json.loads(line)["collection"] for line in lines] == ["other"] * 2 + ["photos"] * 16
        alike = {"alike": True, "threshold": 0.01}
        found = get(client, "duplicates", collection="all", **alike)
        assert found["collection"] == "other, photos"
        each = [get(client, "duplicates", collection=name, **alike)["groups"] for name in ("other", "photos")]
        assert found["groups"] == each[0] + each[1]
        assert all(len({one["picture"]["collection"] for one in group["members"]}) == 1 for group in found["groups"])
        assert {group["members"][0]["picture"]["collection"] for group in found["groups"]} >= {"photos"}
        for path in (
            "words?q=cat&collection=all",
            *(f"collections/all{end}" for end in ("", "/failures", "/progress")),
        ):
            refused = client.get(f"/api/v1/{path}")
            problem(refused, 400, "this asks one collection, not all of them: choose other | photos")
            assert refused.json()["code"] == "choose-collection"
    with serving(two, "photos", only=True) as client:
        problem(client.get("/api/v1/words?q=cat&collection=all"), 404, "no collection 'all'")


def test_a_store_with_nothing_in_it_is_served_and_says_what_to_do(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "empty")
    with serving(store, "") as client:
        assert get(client, "collections") == []
        problem(client.get("/api/v1/pictures"), 404, "ingest run FOLDER")
        assert client.get("/").status_code == 200
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        assert (
            ready.json()["note"] == "there are no pictures here yet: `ingest run FOLDER` makes a collection of a folder"
        )


def test_the_description_names_operations_and_problems(client: httpx.Client) -> None:
    description = get(client, "openapi.json")
    names = [one["operationId"] for methods in description["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)
    assert {"text", "similar", "pictures", "questions", "duplicates", "metrics", "livez", "readyz"} <= set(names)
    for methods in description["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if status[0] in "45":
                    assert list(response["content"]) == ["application/problem+json"]


def test_a_method_that_is_not_there_is_told_with_those_that_are(client: httpx.Client) -> None:
    assert client.put("/api/v1/tags").headers["allow"] == "GET, POST, HEAD"
    assert client.put("/api/v1/uploads/x").headers["allow"] == "DELETE"
    assert client.post("/livez").headers["allow"] == "GET, HEAD"


def test_schemathesis_finds_nothing(client: httpx.Client, tmp_path: Path) -> None:
    """Requests that the description allows, and others that it does not, a few for each route.

    That a request which is well-formed may yet mean nothing (`labels` and `own_labels` at once) is no finding: it is
    told so, with 400.
    """
    program = Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        pytest.skip("no schemathesis here: pip install schemathesis")
    url = f"{client.base_url}/api/v1/openapi.json"
    how = ["--phases", "examples,fuzzing", "--max-examples", "2", "--seed", "1", "--request-timeout", "60"]
    without = ["--exclude-checks", "positive_data_acceptance", "--no-color"]
    done = subprocess.run(
        [program, "run", url, *how, *without], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout


def test_figures_are_those_of_what_was_asked(client: httpx.Client) -> None:
    client.get("/api/v1/nothing")
    client.head("/api/v1/status")
    assert re.search(
        r'requests_total\{route="[^"]*/status",method="HEAD",status="200"\} 1\n', client.get("/metrics").text
    )
    text = client.get("/metrics").text
    assert 'wordsight_requests_total{route="/livez"' in text or client.get("/livez").status_code == 200
    assert 'wordsight_request_seconds_bucket{le="+Inf"}' in text
    assert "wordsight_pictures_being_decoded 0" in text


def test_json_is_packed_and_pictures_are_not(client: httpx.Client) -> None:
    packed = client.get("/api/v1/pictures?limit=100", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    address = picture(client, "coffee/turned.jpg")["thumbnail"]
    small = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers
    assert client.get(address, headers={"If-None-Match": small.headers["etag"]}).status_code == 304


def test_below_the_path_of_a_proxy_addresses_begin_with_it(photos: Photos) -> None:
    with serving(photos.store, "photos", root_path="/pictures") as client:
        one = get(client, "pictures", limit=1)["results"][0]
        assert one["thumbnail"].startswith("/pictures/api/v1/pictures/")
        assert client.get(one["thumbnail"].removeprefix("/pictures")).status_code == 200
        assert client.get("/").status_code == 200
