"""SIGKILL at random moments: nothing acknowledged is lost, doubled or mixed up, and nothing is left over."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from ingest.stores import SEMANTIC
from ingest.stores.embedded import EmbeddedStore
from model.projections import load_projection
from tests.kills import (
    Vectors,
    alone_on_a_core,
    assert_equal,
    bad_files,
    begin_with,
    kill_repeatedly,
    killed_after,
    leftovers,
    opens_with_right_vectors,
    ran,
    small_pictures,
    vectors_in,
)

PICTURES = 200
KILLS_OF_A_FIRST_RUN = 4
KILLS = 16


class Right:
    """A collection whose making was never interrupted."""

    def __init__(self, place: Path, cache: Path, tags: Path) -> None:
        self.folder = small_pictures(place / "photos", PICTURES, bad=2)
        self.cache = cache
        self.store = place / "store"
        shutil.copytree(tags, self.store)
        self.seconds = ran(self.command, self.env(self.store))
        self.vectors: Vectors = vectors_in(self.store, "photos")

    @property
    def command(self) -> list[str | Path]:
        return ["ingest", "run", self.folder, "--offline"]

    def env(self, store: Path) -> dict[str, str]:
        return alone_on_a_core(WORDSIGHT_STORE=str(store), WORDSIGHT_CACHE=str(self.cache))


@pytest.fixture(scope="module")
def right(shared_cache: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Right:
    right = Right(tmp_path_factory.mktemp("right"), shared_cache, tags_store)
    assert len(right.vectors) == PICTURES
    assert EmbeddedStore(right.store).metadata("photos").projection == "joint"
    return right


def test_an_ingest_killed_at_twenty_moments(right: Right, tags_store: Path, tmp_path: Path) -> None:
    """A few moments of the very first run, which makes the tag vocabulary; the others where that is there."""
    store = tmp_path / "store"
    env = right.env(store)
    there: list[int] = []

    def finish() -> None:
        ran(right.command, env)
        assert_equal(vectors_in(store, "photos"), right.vectors)
        assert bad_files(store, "photos") == {"bad-0.png", "bad-1.png"}
        assert leftovers(store, right.cache) == []

    for times, beginning, seed in ((KILLS_OF_A_FIRST_RUN, None, 11), (KILLS, tags_store, 12)):
        shutil.rmtree(store, ignore_errors=True)

        def finish_and_begin(beginning: Path | None = beginning) -> None:
            if store.exists():
                finish()
            begin_with(store, beginning)()

        kill_repeatedly(
            right.command,
            env,
            times=times,
            whole=right.seconds,
            seed=seed,
            look=lambda: there.append(opens_with_right_vectors(store, right.vectors)),
            begin=finish_and_begin,
        )
        finish()
    assert len(set(there)) > 2, "all kills met the same state"


def test_a_change_of_projection_killed_at_four_moments(right: Right, tmp_path: Path) -> None:
    conse_store, store = tmp_path / "conse", tmp_path / "store"
    change: list[str | Path] = ["ingest", "reproject", "--projection", "conse"]
    begin_with(conse_store, right.store)()
    seconds = ran(change, right.env(conse_store))
    kinds = {"joint": right.vectors, "conse": vectors_in(conse_store, "photos")}
    assert not np.allclose(*(kinds[kind]["cat/00000.jpg"][SEMANTIC] for kind in kinds))

    def all_of_one_kind_after_a_plain_run() -> None:
        opens_with_right_vectors(store, right.vectors)
        ran(right.command, right.env(store))
        metadata = EmbeddedStore(store).metadata("photos")
        assert metadata.pending == ""
        assert_equal(vectors_in(store, "photos"), kinds[metadata.projection])
        assert leftovers(store) == []

    begin = begin_with(store, right.store)
    kill_repeatedly(
        change,
        right.env(store),
        times=4,
        whole=seconds,
        seed=5,
        look=lambda: (all_of_one_kind_after_a_plain_run(), begin()),
        begin=begin,
    )


def test_an_export_killed_at_three_moments(right: Right, tmp_path: Path) -> None:
    snapshot = tmp_path / "out/s"
    env = right.env(right.store)
    export: list[str | Path] = ["ingest", "export", snapshot]
    seconds = ran(export, env)
    kill_repeatedly(
        export,
        env,
        times=3,
        whole=seconds,
        seed=2,
        look=lambda: ran(["ingest", "verify", snapshot], env),
        begin=lambda: None,
    )
    ran(export, env)
    assert [path.name for path in snapshot.parent.iterdir()] == ["s"]
    assert leftovers(tmp_path, right.store) == []


def test_a_training_killed_at_three_moments(right: Right, tmp_path: Path) -> None:
    head = tmp_path / "out/head.safetensors"
    head.parent.mkdir()
    train: list[str | Path] = ["model", "train", right.folder, "--out", head, "--offline"]
    env = right.env(tmp_path / "none")
    seconds = ran(train, env)
    old, before = load_projection(head), head.read_bytes()

    def old_or_whole() -> None:
        if head.read_bytes() != before:
            load_projection(head)

    kill_repeatedly(train, env, times=3, whole=seconds, seed=3, look=old_or_whole, begin=lambda: None)
    ran(train, env)
    assert [path.name for path in head.parent.iterdir()] == ["head.safetensors"]
    for name, tensor in load_projection(head).tensors.items():
        np.testing.assert_allclose(tensor, old.tensors[name], atol=1e-5)


FETCH = """
import sys
from dataclasses import replace
from model import encoders, words
from model.encoders import torch as architecture
from model.encoders.onnx import CLASSIFIER_FILE, ONNX_FILE
from model.encoders.vgg16 import vgg16
from model.system.atomic import new_dir
from model.system.download import RemoteFile
from model.__main__ import main

url, *files = sys.argv[1:]
del sys.argv[1:]
sys.argv.append("fetch")
remotes = [RemoteFile(f"{url}/{name}", int(size), sha256) for name, size, sha256 in (f.split(",") for f in files)]
encoder, space = encoders.encoder_spec("vgg16"), words.words_spec("glove-6b-300d")
encoders.unregister(encoder.name)
words.unregister(space.name)
encoders.register(replace(encoder, weights=remotes[0]))(vgg16)
words.register(replace(space, weights=remotes[1]))

def export(spec, weights, sha256, folder):
    with new_dir(folder) as temporary:
        (temporary / ONNX_FILE).write_bytes(b"onnx")
        (temporary / CLASSIFIER_FILE).write_bytes(b"classifier")

architecture.export = export
main()
"""
"""`model fetch` itself, but of smaller files from this machine; what would turn VGG16 into ONNX is left out."""


class Files(BaseHTTPRequestHandler):
    """Serves ``content`` by name, in parts, so slowly that a kill meets it halfway."""

    content: dict[str, bytes]
    sent: list[int]

    def do_GET(self) -> None:
        data = self.content[self.path[1:]]
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        for at in range(start, len(data), 1 << 18):
            self.wfile.write(data[at : at + (1 << 18)])
            self.sent.append(min(1 << 18, len(data) - at))
            time.sleep(0.02)

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
    served = type("Served", (Files,), {"content": content, "sent": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that was killed
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", served
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_fetch_killed_again_and_again_goes_on_and_leaves_nothing(
    files: tuple[str, type[Files]], tmp_path: Path
) -> None:
    url, served = files
    cache = tmp_path / "cache"
    described = [f"{name},{len(data)},{hashlib.sha256(data).hexdigest()}" for name, data in served.content.items()]
    words = [sys.executable, "-c", FETCH, url, *described]
    env = alone_on_a_core(WORDSIGHT_CACHE=str(cache), NO_PROXY="127.0.0.1", PYTHONPATH=str(Path(__file__).parents[1]))
    kills = 0
    for seconds in (0.5, 1.0, 1.4, 1.8, 2.2, 2.6):  # each time it comes a little further
        kills += killed_after(words, env, seconds)
    assert kills > 2
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "the standard pair is ready" in done.stderr
    whole = sum(map(len, served.content.values()))
    assert sum(served.sent) < whole + 8 * kills * (1 << 18), "what had come was fetched again"
    weights = next(cache.glob("weights/vgg16-*/weights.pth"))
    assert weights.read_bytes() == served.content["vgg16.pth"]
    assert list((cache / "downloads").iterdir()) == []
    assert leftovers(cache) == []
