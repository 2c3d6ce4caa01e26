"""SIGKILL at counted moments: nothing acknowledged is lost, doubled or mixed up, and nothing is left over.

`benchmarks/kill.py` kills at random moments, and many more times.
"""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from ingest.collection import Options, ensure_tags, need_tags
from ingest.errors import CollectionNotFound, StoreInUse
from ingest.pipeline import ExportOptions, export_collection, reproject, run_folder
from ingest.stores import SEMANTIC
from ingest.stores.embedded import EmbeddedStore
from ingest.stores.snapshot import SnapshotStore, verify
from model.encoders import Encoder
from model.projections import load_projection
from model.projections.training import recipe_of, train_folder
from model.words import Words
from query import open_collection
from tests.copies import copy_store
from tests.kills import (
    LEARNT,
    Vectors,
    alone_on_a_core,
    assert_equal,
    bad_files,
    leftovers,
    opens_with_right_vectors,
    small_pictures,
    vectors_in,
)
from tests.photographs import labelled_folder
from tests.staged import REPLACE, UPSERT, Moment, acknowledged_in, killed

PICTURES = 600
"""Ten batches of an ingest, and three pages of a change of projection."""

DIFFERENT = 90
BAD_FILES = {"z/bad-0.png", "z/bad-1.png"}

CREATE = "ingest.stores.embedded:EmbeddedStore.create"
CLOSE = "ingest.stores.embedded.writer:EmbeddedWriter.close"
SAVE = "ingest.stores.embedded.writer:EmbeddedWriter.save"
SET_VECTORS = "ingest.stores:Collection.set_vectors"
WRITE_FILE = "ingest.stores.embedded.writer:EmbeddedWriter.write_file"


class Right:
    """A collection whose making was never interrupted, projected by ConSE; and a trained head."""

    def __init__(self, place: Path, cache: Path, tags: Path, originals: Path) -> None:
        self.folder = small_pictures(place / "photos", PICTURES, different=DIFFERENT)
        (self.folder / "z").mkdir()  # the last to be read
        for name in BAD_FILES:
            (self.folder / name).write_bytes(b"no picture")
        self.cache = cache
        self.store = place / "store"
        copy_store(tags, self.store)
        self.finish(self.store)
        self.conse: Vectors = vectors_in(self.store, "photos")
        self.learnt = labelled_folder(place / "learnt", originals, LEARNT, 10)
        self.head = place / "head.safetensors"
        self.train(self.head)
        copy_store(self.store, place / "trained")
        reproject(EmbeddedStore(place / "trained"), "photos", str(self.head))
        self.best: Vectors = vectors_in(place / "trained", "photos")

    @property
    def run(self) -> list[str | Path]:
        return ["ingest", "run", self.folder, "--offline", "--projection", "conse"]

    def env(self, store: Path) -> dict[str, str]:
        return alone_on_a_core(WORDSIGHT_STORE=str(store), WORDSIGHT_CACHE=str(self.cache))

    def finish(self, store: Path) -> None:
        """A whole run."""
        run_folder(EmbeddedStore(store), self.folder, "", Options(offline=True, projection="conse"))

    def train(self, out: Path) -> None:
        recipe = recipe_of("best", test_share=0.2, seed=0, epochs=None, patience=None)
        train_folder(self.learnt, out, recipe=recipe, encoder="auto", words="auto", offline=True, device="cpu")


@pytest.fixture(scope="module")
def right(shared_cache: Path, tags_store: Path, originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Right:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        right = Right(tmp_path_factory.mktemp("right"), shared_cache, tags_store, originals)
    assert len(right.conse) == PICTURES
    assert not np.allclose(right.conse["cat/00000.jpg"][SEMANTIC], right.best["cat/00000.jpg"][SEMANTIC], atol=0.1)
    return right


WRITTEN_ONCE = """
from ingest.collection import ledger, run_progress
ledger.SAVE_SECONDS = run_progress.SAVE_SECONDS = 1e9
"""
"""What a run writes every few seconds would be counted too, where other work makes it slow."""

RUN_MOMENTS = {
    Moment(CREATE, "after"): 0,
    Moment(REPLACE, "before"): 0,
    Moment(REPLACE, "after", 2): 0,
    Moment(UPSERT, "before"): 0,
    Moment(UPSERT, "after"): 64,
    Moment(UPSERT, "after", 2): 192,
    Moment(UPSERT, "before", 4): 384,
    Moment(UPSERT, "after", 4): 600,
    Moment("ingest.collection.ledger:Ledger.save", "before"): 600,
    Moment("ingest.collection.ledger:Ledger.save", "after"): 600,
    Moment(CLOSE, "before"): 600,
    Moment(CLOSE, "after"): 600,
}
"""When each run in turn is killed, which goes on where the one before was; and how many pictures are there then."""


def test_an_ingest_killed_at_twelve_moments(right: Right, tags_store: Path, tmp_path: Path) -> None:
    store, acknowledged = tmp_path / "store", tmp_path / "acknowledged"
    copy_store(tags_store, store)
    for moment, expected in RUN_MOMENTS.items():
        killed(right.run, moment, right.env(store), acknowledged=acknowledged, first=WRITTEN_ONCE)
        there = opens_with_right_vectors(store, right.conse)
        assert len(there) == expected, moment
        promised = set(acknowledged_in(acknowledged, "photos"))
        assert len(promised) == expected, moment
        assert_equal(there, {path: right.conse[path] for path in promised})
    right.finish(store)
    assert_equal(vectors_in(store, "photos"), right.conse)
    assert bad_files(store, "photos") == BAD_FILES
    assert leftovers(store, right.cache) == []


def test_a_first_ingest_killed_while_it_makes_the_tag_vocabulary(
    right: Right, tags_store: Path, tmp_path: Path, words: Words, encoder: Encoder
) -> None:
    store = tmp_path / "store"
    killed(right.run, Moment(UPSERT, "after", 3), right.env(store))
    with pytest.raises(CollectionNotFound, match="is not complete"):
        need_tags(EmbeddedStore(store), words.name, words.sha256)
    name = ensure_tags(EmbeddedStore(store), words, encoder.classifier.names)
    assert need_tags(EmbeddedStore(store), words.name, words.sha256) == name
    with EmbeddedStore(store).open(name) as found, EmbeddedStore(tags_store).open(name) as whole:
        assert found.count() == whole.count()


@pytest.mark.parametrize(
    ("moment", "kind"),
    [
        (Moment(WRITE_FILE, "after"), "conse"),  # prepared, not begun
        (Moment(SAVE, "after"), "best"),  # begun
        (Moment(SET_VECTORS, "after"), "best"),
        (Moment(SET_VECTORS, "before", 3), "best"),
        (Moment(WRITE_FILE, "before", 2), "best"),  # all vectors are changed, the projection is not in place
        (Moment(SAVE, "before", 2), "best"),
    ],
    ids=str,
)
def test_a_killed_change_of_projection_is_finished_or_forgotten(
    moment: Moment, kind: str, right: Right, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    copy_store(right.store, store)
    killed(["ingest", "reproject", "--projection", right.head], moment, right.env(store))
    there = opens_with_right_vectors(store, right.conse)
    assert len(there) == PICTURES
    assert _of_one(there, right) or _is_refused(store), "before anything was mended"
    run_folder(EmbeddedStore(store), right.folder, "", Options(offline=True))
    metadata = EmbeddedStore(store).metadata("photos")
    assert (metadata.projection, metadata.pending) == (kind, "")
    assert_equal(vectors_in(store, "photos"), {"conse": right.conse, "best": right.best}[kind])
    assert leftovers(store) == []


def _of_one(there: Vectors, right: Right) -> bool:
    """Whether all semantic vectors are of one projection, which the collection has."""
    return all(np.allclose(there[path][SEMANTIC], right.conse[path][SEMANTIC], atol=1e-5) for path in there)


def _is_refused(store: Path) -> bool:
    """Whether words are not answered, nor tags, but what only looks at pictures is."""
    with open_collection(store, collection="photos") as photos:
        asked = photos.similar(photos.similar("cat/00000.jpg", limit=1).hits[0].picture.id, limit=2)
        assert len(asked) == 2
        for question in (lambda: photos.text("cat", names=False), lambda: photos.tags("cat/00000.jpg")):
            with pytest.raises(StoreInUse, match="the projection of 'photos' is being changed"):
                question()
    return True


def test_a_killed_export_leaves_the_old_snapshot_or_the_new_one(right: Right, tmp_path: Path) -> None:
    snapshot = tmp_path / "out/s"
    source = EmbeddedStore(right.store)
    export_collection(source, "photos", snapshot, ExportOptions(seed=1))
    for moment, seed in (
        (Moment("ingest.pipeline.exporting:_index", "after", 2), 1),
        (Moment("model.system.atomic:_exchange", "before"), 1),
        (Moment("model.system.atomic:_exchange", "after"), 2),
    ):
        killed(["ingest", "export", snapshot, "--seed", "2"], moment, right.env(right.store))
        verify(SnapshotStore(snapshot))
        spaces = json.loads((snapshot / "manifest.json").read_bytes())["spaces"]
        assert {space["seed"] for space in spaces.values()} == {seed}, moment
        assert len(list(snapshot.parent.iterdir())) == 2, "the killed one's folder is there still"
    export_collection(source, "photos", snapshot, ExportOptions(seed=3))
    assert [path.name for path in snapshot.parent.iterdir()] == ["s"]
    assert leftovers(tmp_path, right.store) == []


def test_a_killed_training_leaves_the_old_head_or_the_new_one(right: Right, tmp_path: Path) -> None:
    head = tmp_path / "out/head.safetensors"
    head.parent.mkdir()
    head.write_bytes(old := right.head.read_bytes())
    train: list[str | Path] = ["model", "train", right.learnt, "--out", head, "--offline"]
    env = right.env(tmp_path / "none")
    killed([*train, "--seed", "1"], Moment(REPLACE, "before"), env)
    assert head.read_bytes() == old
    assert len(list(head.parent.iterdir())) == 2, "what was half written is there still"
    killed(train, Moment(REPLACE, "after"), env)
    assert [path.name for path in head.parent.iterdir()] == ["head.safetensors"]
    for name, tensor in load_projection(head).tensors.items():
        np.testing.assert_allclose(tensor, load_projection(right.head).tensors[name], atol=1e-5)


SMALL_PAIR = """
import types
from dataclasses import replace
from model import encoders, words
from model.encoders.onnx import CLASSIFIER_FILE, ONNX_FILE
from model.encoders.vgg16 import vgg16
from model.system.prepared import new_prepared_dir
from model.system.download import RemoteFile

encoder, space = encoders.encoder_spec("vgg16"), words.words_spec("glove-6b-300d")
encoders.unregister(encoder.name)
words.unregister(space.name)
encoders.register(replace(encoder, weights=RemoteFile(*{weights!r})))(vgg16)
words.register(replace(space, weights=RemoteFile(*{words!r})))

def export(spec, weights, sha256, folder):
    with new_prepared_dir(folder) as temporary:
        (temporary / ONNX_FILE).write_bytes(b"onnx")
        (temporary / CLASSIFIER_FILE).write_bytes(b"classifier")

sys.modules["model.encoders.torch"] = types.SimpleNamespace(export=export)
"""
"""Smaller files than the published ones, from this machine; what would turn VGG16 into ONNX is left out."""


class Files(BaseHTTPRequestHandler):
    """Serves ``content`` by name, and notes which byte each answer began with."""

    content: dict[str, bytes]
    begun: list[tuple[str, int]]

    def do_GET(self) -> None:
        name = self.path[1:]
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.begun.append((name, start))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content[name]) - start))
        self.end_headers()
        self.wfile.write(self.content[name][start:])

    def log_message(self, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[str, type[Files]]]:
    words = np.random.default_rng(1).standard_normal((500, 300)).round(4)
    text = "".join(f"word{i} {' '.join(map(str, row))}\n" for i, row in enumerate(words))
    with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as zipped:
        zipped.writestr("glove.6B.300d.txt", text)
    content = {"vgg16.pth": np.random.default_rng(0).bytes(4 << 20)}
    content["glove.6B.zip"] = (tmp_path / "glove.6B.zip").read_bytes()
    served = type("Served", (Files,), {"content": content, "begun": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that was killed
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", served
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_fetch_killed_again_and_again_goes_on_where_it_was_and_leaves_nothing(
    files: tuple[str, type[Files]], tmp_path: Path
) -> None:
    url, served = files
    cache = tmp_path / "cache"
    weights, words = (
        (f"{url}/{name}", len(data), hashlib.sha256(data).hexdigest()) for name, data in served.content.items()
    )
    prelude = SMALL_PAIR.format(weights=weights, words=words)
    env = alone_on_a_core(WORDSIGHT_CACHE=str(cache), NO_PROXY="127.0.0.1")
    part = cache / "downloads/vgg16.pth.part"
    chunk = Moment("model.system.events:Progress.advance", "after", 4)
    expected = [("vgg16.pth", 0)]
    for moment in (chunk, chunk, chunk, Moment(REPLACE, "before")):
        killed(["model", "fetch"], moment, env, first=prelude)
        assert served.begun == expected, "what had come is not fetched again"
        assert part.read_bytes() == served.content["vgg16.pth"][: part.stat().st_size]
        expected.append(("vgg16.pth", part.stat().st_size))
    assert part.stat().st_size == 4 << 20
    expected.pop()  # all of it was there: nothing is asked for
    killed(["model", "fetch"], Moment(REPLACE, "after"), env, first=prelude)
    killed(["model", "fetch"], Moment("model.fetching:put_in_use", "before"), env, first=prelude)
    assert served.begun == expected
    ended = Moment("model.system.terminal:note", "after", 1000)
    with pytest.raises(AssertionError, match=r"not reached(.|\n)*the standard pair is ready"):
        killed(["model", "fetch"], ended, env, first=prelude)
    assert served.begun == [*expected, ("glove.6B.zip", 0)]
    assert next(cache.glob("weights/vgg16-*/weights.pth")).read_bytes() == served.content["vgg16.pth"]
    assert list((cache / "downloads").iterdir()) == []
    assert leftovers(cache) == []
