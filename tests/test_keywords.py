"""Keywords in picture files are labels beside their folders: found, chosen among, learnt."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ingest.stores.embedded import EmbeddedStore
from query.cli import app
from tests.commands import Ran, asked
from tests.ingest.runs import ingest, store_with_tags
from tests.photographs import labelled_folder

LABELS = ("cat", "coffee", "rocket")

PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>holiday</rdf:li>
<rdf:li>{keyword}</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, originals: Path, tags_store: Path) -> Path:
    """A folder named after a year, with ten pictures each of three things, which only their keywords name."""
    place = tmp_path_factory.mktemp("keywords")
    plain = labelled_folder(place / "plain", originals, LABELS, 10)
    (place / "photos/2019").mkdir(parents=True)
    for number, source in enumerate(sorted(plain.rglob("*.*"))):
        target = place / f"photos/2019/{number}.jpg"
        with Image.open(source) as image:
            image.convert("RGB").save(target, xmp=PACKET.format(keyword=source.parent.name).encode())
    with store_with_tags(tags_store, place / "store") as store:
        ingest(store, place / "photos")
    return place


def ask(place: Path, *words: str) -> Ran:
    return asked(app, *words, "--json", "--store", str(place / "store"))


def test_keywords_are_learnt_as_folders_are(place: Path) -> None:
    with EmbeddedStore(place / "store") as store, store.open("photos") as collection:
        assert collection.metadata.trained == LABELS, "not holiday, which all of them have"
        assert collection.labels() == {"2019": 30, "holiday": 30, "cat": 10, "coffee": 10, "rocket": 10}


def test_keywords_are_found_and_chosen_among(place: Path) -> None:
    found = ask(place, "text", "anything", "--label", "rocket", "-n", "30").json
    assert len(found) == 10
    assert {tuple(row["keywords"]) for row in found} == {("holiday", "rocket")}
    assert {row["label"] for row in found} == {"2019"}
    words = [row["word"] for row in ask(place, "tags", found[0]["file"], "--own-labels").json]
    assert words[0] == "rocket"
    assert {*LABELS, "holiday"} <= {*words}
