"""What is kept of a picture and of a collection: literal ids and payloads, which stores out there hold."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from ingest.records import Picture, is_sound, stable_id
from model.pictures import PhotoMetadata


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("cat/1.jpg", "dbaece4f-3a43-551d-9942-902f8d421870"),
        ("Käse/芝士 🧀.jpg", "145da9a7-6b03-5c1e-aae7-548dbcfc8901"),
        ("raw\udcff.jpg", "e890e768-d57e-5492-848e-22e323b43b42"),
        ("", "344ff3e1-af46-5b59-a495-33643e9a3b05"),
    ],
)
def test_a_name_is_the_same_point_in_every_version(name: str, id: str) -> None:
    """With another namespace every run would add all pictures once more."""
    assert stable_id(name) == UUID(id)


def test_the_payload_of_a_picture() -> None:
    picture = Picture("a/b/c.jpg", "00ff", 640, 480, 12_345, 1_700_000_000_123_456_789, 2.5, 77)
    payload = {
        "path": "a/b/c.jpg",
        "label": "b",
        "folders": ["a", "a/b"],
        "sha256": "00ff",
        "width": 640,
        "height": 480,
        "bytes": 12_345,
        "mtime_ns": 1_700_000_000_123_456_789,
        "visual_norm": 2.5,
        "inode": 77,
        "check": "79b33fad",
    }
    assert picture.to_payload() == payload
    assert Picture.from_payload(payload) == picture


def test_the_payload_says_how_a_picture_was_taken() -> None:
    photo = PhotoMetadata("2019-07-03T14:22:05+02:00", "exif", "NIKON D90", "50 mm", (48.208174, 16.373819), 6)
    picture = Picture("a.jpg", "00ff", 640, 480, 12_345, 1_700_000_000_123_456_789, 2.5, photo=photo)
    payload = picture.to_payload()
    said = {
        "taken": "2019-07-03T14:22:05+02:00",
        "taken_from": "exif",
        "taken_at": 1_562_163_725,
        "camera": "NIKON D90",
        "lens": "50 mm",
        "place": {"lat": 48.208174, "lon": 16.373819},
        "orientation": 6,
    }
    assert said.items() <= payload.items()
    assert Picture.from_payload(payload) == picture
    nearly = {**payload, "place": {"lat": 48.208174000000004, "lon": 16.373818999999997}}
    assert is_sound(nearly), "an engine may give back another last bit"
    assert Picture.from_payload(nearly) == picture
    assert not is_sound({**payload, "place": {"lat": 48.3, "lon": 16.373819}})


def test_a_payload_says_nothing_that_was_not_read() -> None:
    bare = Picture("a.jpg", "00ff", 1, 1, 1, 1, 1.0, photo=PhotoMetadata("2019-07-03T14:22:05", "file"))
    before = Picture("a.jpg", "00ff", 1, 1, 1, 1, 1.0).to_payload()
    more = bare.to_payload().keys() - before.keys()
    assert more == {"taken", "taken_from", "taken_at"}
    assert Picture.from_payload(before).photo is None


def test_a_name_that_is_no_utf8_comes_back_byte_for_byte() -> None:
    picture = Picture("raw\udcff/x.jpg", "00", 1, 1, 1, 1, 1.0)
    payload = picture.to_payload()
    assert (payload["path"], payload["label"], payload["path_base64"]) == (
        "raw\ufffd/x.jpg",
        "raw\ufffd",
        "cmF3/y94LmpwZw==",
    )
    assert Picture.from_payload(payload) == picture


def test_a_payload_carries_the_signature_and_what_is_none_is_passed_over() -> None:
    picture = Picture("a.jpg", "00ff", 640, 480, 12_345, 1, 2.5, signature=bytes(range(256)) * 4)
    payload = picture.to_payload()
    assert payload["signature"][:12] == "AAECAwQFBgcI"
    assert len(payload["signature"]) == 1368
    assert Picture.from_payload(payload) == picture
    assert is_sound(payload)
    assert not is_sound({**payload, "signature": "B" + payload["signature"][1:]})
    for said in ("AAEC", "no base64!", 7, None, ""):
        assert Picture.from_payload({**payload, "signature": said}).signature == b""
    assert "signature" not in replace(picture, signature=b"").to_payload()
