"""Pictures that are made to keep a server busy: each was sent to one, and stopped it."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import signal
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest
from PIL import Image

from model.errors import PictureError, PictureNoMemory, PictureTooSlow
from model.pictures import Framing, decoding_cost
from query.web.decoding import Bench, Busy, Decoded, Job, Use, bench, place
from query.web.decoding.place import Place, Vanished
from tests.model.raw_files import dng
from tests.model.test_stills import film
from tests.query.conftest import Photos
from tests.query.test_web_api import JPEG, get, picture, problem
from tests.query.test_web_security import holding
from tests.serving import serving
from tests.waiting import wait_until

SENT = Job(framing=Framing(64, 64, Image.Resampling.BICUBIC, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
"""A picture to ask about."""


def in_file(data: bytes) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the bench closes it
    file.write(data)
    file.flush()
    return file


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG whose head says that it is so large."""
    data = encoded(Image.new("RGB", (9, 9)), "PNG")
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[24:29]
    return data[:12] + head + zlib.crc32(head).to_bytes(4, "big") + data[33:]


def of_many_scans(image: Image.Image, scans: int) -> bytes:
    """A progressive JPEG whose last scan stands in it again and again, which decoders take."""
    data = encoded(image, "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - data.count(b"\xff\xda")) + data[-2:]


@pytest.fixture(scope="module")
def small() -> bytes:
    return encoded(Image.effect_noise((300, 200), 80), "JPEG")


@pytest.fixture
def made() -> Iterator[list[Bench]]:
    benches: list[Bench] = []
    yield benches
    for one in benches:
        one.close()


def decode(on: Bench, data: bytes, **job: object) -> bytes:
    return asyncio.run(on.decode(Use.LOOK, Job(small=64, **job), in_file(data))).small  # type: ignore[arg-type]


def test_a_jpeg_of_hundreds_of_scans_is_refused_before_it_is_decoded(client: httpx.Client) -> None:
    data = of_many_scans(Image.new("L", (14000, 3000), 128), 300)
    assert len(data) < 2_000_000
    problem(client.post("/api/v1/uploads", content=data, headers=JPEG), 415, "300 scans")
    ordinary = encoded(Image.effect_noise((900, 700), 80), "JPEG", progressive=True)
    assert client.post("/api/v1/uploads", content=ordinary, headers=JPEG).status_code == 201


def test_scans_of_previews_do_not_count() -> None:
    preview = of_many_scans(Image.new("L", (64, 64)), 300)[:60_000]
    data = encoded(Image.effect_noise((300, 200), 80), "JPEG", progressive=True)
    segment = b"\xff\xe2" + (len(preview) + 2).to_bytes(2, "big") + preview
    assert decoding_cost(data[:2] + segment + data[2:]).scans == data.count(b"\xff\xda") < 12


@contextmanager
def closing_place() -> Iterator[Place]:
    one = Place()
    try:
        yield one
    finally:
        one.end()


@contextmanager
def standing_still() -> Iterator[None]:
    """All decoding processes of this one, as if their pictures did not end."""
    stopped = [child.pid for child in multiprocessing.active_children() if child.pid]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue


def test_a_decoder_that_does_not_come_back_is_abandoned(small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "GRACE_SECONDS", 0.05)
    job, memory = Job(small=64), 64 << 20
    with closing_place() as one:
        with in_file(small) as file:
            assert one.decode(job, file, memory, 10).small
        with standing_still(), in_file(small) as file, pytest.raises(Vanished) as told:
            one.decode(job, file, memory, 0.05)
        assert told.value.is_slow
        with in_file(small) as file:
            assert one.decode(job, file, memory, 10).small


def test_a_picture_that_takes_its_processor_for_too_long_ends_it(made: list[Bench], small: bytes) -> None:
    made.append(Bench(seconds=0.2, places=2))
    with pytest.raises(PictureTooSlow, match="not decoded"):
        decode(made[0], of_many_scans(Image.effect_noise((2000, 1500), 80), 60), max_megapixels=0)
    assert decode(made[0], small)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Pictures that were sent are not decoded before this is set; those to look at are."""
    ended = threading.Event()
    decode_at_once = Place.decode

    def decode(self: Place, job: Job, file: IO[bytes], memory: int, seconds: float) -> Decoded:
        if job.framing:
            assert ended.wait(60)
        return decode_at_once(self, job, file, memory, seconds)

    monkeypatch.setattr(Place, "decode", decode)
    yield ended
    ended.set()


def test_what_is_cheap_does_not_wait_for_decoders(photos: Photos, small: bytes, endless: threading.Event) -> None:
    with serving(photos.store, "photos", bench=Bench(places=2)) as client:
        told: list[int] = []

        def send() -> None:
            answer = client.post("/api/v1/uploads", content=small, headers=JPEG)
            told.append(answer.status_code)

        threads = [threading.Thread(target=send) for _ in range(40)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            assert client.get("/api/v1/health").status_code == 200
            assert get(client, "text", q="cat", limit=1)["results"]
        assert not told
        endless.set()
        for thread in threads:
            thread.join()
        assert told == [201] * 40


def test_pictures_to_look_at_have_a_place_that_those_sent_do_not_take(
    made: list[Bench], small: bytes, endless: threading.Event
) -> None:
    made.append(Bench(places=2))

    async def both() -> bytes:
        sent = [asyncio.ensure_future(made[0].decode(Use.ASK, SENT, in_file(small))) for _ in range(8)]
        await asyncio.to_thread(wait_until, lambda: made[0].at_work == 1)
        shown = await made[0].decode(Use.LOOK, Job(small=32), in_file(small))
        assert not any(one.done() for one in sent)
        endless.set()
        await asyncio.gather(*sent)
        return shown.small

    assert asyncio.run(both())


def test_memory_is_limited_by_what_decoding_takes(client: httpx.Client, made: list[Bench]) -> None:
    webp = encoded(Image.new("RGB", (6000, 5000)), "WEBP", quality=1, method=0)
    assert len(webp) < 100_000
    problem(client.post("/api/v1/uploads", content=webp, headers=JPEG), 413, "6000 x 5000", "--decode-memory")
    made.append(Bench(memory=64 << 20, places=2))
    with pytest.raises(PictureNoMemory, match="48 MB"):
        decode(made[0], encoded(Image.new("RGB", (3000, 3000)), "PNG"))
    assert decode(made[0], encoded(Image.new("RGB", (6000, 6000)), "JPEG"))  # decoded small
    assert decode(made[0], encoded(Image.new("RGB", (2000, 2000)), "PNG"))  # after the others, with more memory


def test_an_indexed_file_that_was_replaced_by_a_huge_one_is_no_thumbnail(client: httpx.Client, photos: Photos) -> None:
    huge = photos.folder / "cat" / "huge.png"
    huge.write_bytes(claiming(26000, 20000))
    try:
        with holding(photos, "cat/huge.png") as id:
            problem(client.get(f"/api/v1/pictures/{id}/thumbnail"), 413, "26000 x 20000")
    finally:
        huge.unlink()


def test_more_than_can_wait_are_sent_away(
    made: list[Bench], small: bytes, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "MOST_WAITING", 2)
    made.append(Bench(places=2))

    async def crowd() -> list[object]:
        first = asyncio.ensure_future(made[0].decode(Use.ASK, SENT, in_file(small)))
        await asyncio.to_thread(wait_until, lambda: made[0].at_work == 1)
        asked = [made[0].decode(Use.ASK, SENT, in_file(small)) for _ in range(3)]
        crowd = asyncio.gather(*asked, return_exceptions=True)
        await asyncio.to_thread(wait_until, lambda: made[0].waiting == 2)
        endless.set()
        return [await first, *await crowd]

    kinds = [type(one).__name__ for one in asyncio.run(crowd())]
    assert kinds == ["Decoded", "Decoded", "Decoded", "Busy"]
    made[0].close()
    with pytest.raises(Busy):
        decode(made[0], small)


def test_a_thumbnail_is_made_once_and_a_broken_file_tried_once(client: httpx.Client, photos: Photos) -> None:
    file = photos.folder / "cat" / "broken.jpg"
    file.write_bytes(b"\xff\xd8broken")
    try:
        with holding(photos, "cat/broken.jpg") as id:
            first = client.get(f"/api/v1/pictures/{id}/thumbnail")
            problem(first, 415)
            file.write_bytes(encoded(Image.new("RGB", (9, 9)), "JPEG"))
            assert client.get(f"/api/v1/pictures/{id}/thumbnail").json() == first.json()
    finally:
        file.unlink()
    address = picture(client, "cat/chelsea.png")["thumbnail"]
    assert client.get(address).content == client.get(address).content


def test_videos_and_raw_files_are_looked_at_as_they_are_indexed(made: list[Bench], tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="raw files need the extra raw")
    made.append(Bench(places=2))
    shown = decode(made[0], film(tmp_path / "film.mp4"), name="a/film.mp4")
    assert Image.open(io.BytesIO(shown)).size == (64, 48)
    shown = decode(made[0], dng(Image.new("RGB", (800, 600), "red")), name="a/raw.DNG")
    assert Image.open(io.BytesIO(shown)).size == (64, 48)
    with pytest.raises(PictureError, match="broken video"):
        decode(made[0], b"rubbish", name="a/film.mp4")


def test_what_a_decoder_says_of_a_picture_is_what_an_ingest_says(made: list[Bench]) -> None:
    made.append(Bench(places=2))
    with pytest.raises(PictureError, match="not a picture of a known format"):
        decode(made[0], b"rubbish")
    with pytest.raises(PictureError, match="empty file"):
        decode(made[0], b"")
