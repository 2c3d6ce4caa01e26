"""What every test shares: a cache and a store of its own, and the bundled encoder made once."""

from __future__ import annotations

import tests.one_thread  # noqa: F401 - before what reads it

# isort: split
import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.collection import ensure_tags
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Encoder, class_names, open_encoder
from model.pair import BUNDLED, WORDS_VARIABLE
from model.system import events
from model.system.terminal import Terminal
from model.words import Words, open_words
from tests.commands import command
from tests.copies import copy_store
from tests.photographs import sample

WORDS = "glove-6b-50d"
"""The text space of a test that names none: it is ready in a tenth of the bundled one's time."""

MEMORY = Path("/dev/shm")
ROOMY = 12 << 30
"""Bytes: twice what is there at most."""

# A store is a hundred small files, and two thousand are made: on a disk, a quarter of the time goes to its file system.
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOMY:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

HERE = Path(__file__).parent

os.environ[WORDS_VARIABLE] = WORDS  # for fixtures that several tests share
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of a thousand commands would compile every module it imports

# A job of the background ignores Ctrl-C, and so would every command it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole commands begin: they are the longest, and what is short fills the cores at the end."""
    items.sort(key=lambda item: item.path.parent != HERE)


def pytest_collection_finish() -> None:
    """What was collected stays: the garbage collector need not look at three thousand tests again and again."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the session and all its workers: making encoder and text spaces ready takes half a minute."""
    base = tmp_path_factory.getbasetemp()
    worker = "PYTEST_XDIST_WORKER" in os.environ
    shared = (base.parent if worker else base) / "shared-cache"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(autouse=True)
def _own_folders(shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("WORDSIGHT_", "QDRANT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORDSIGHT_CACHE", str(shared_cache))
    monkeypatch.setenv("WORDSIGHT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv(WORDS_VARIABLE, WORDS)


@pytest.fixture(autouse=True)
def _told() -> Iterator[None]:
    """Remarks and progress go to stderr, as under a command."""
    before = events.listen(Terminal())
    yield
    events.listen(before)


@pytest.fixture(scope="session")
def words(shared_cache: Path) -> Words:
    """Real word vectors, which come with the installation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        return open_words(WORDS)


@pytest.fixture(scope="session")
def encoder(shared_cache: Path) -> Encoder:
    """The real bundled encoder on ONNX Runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        return open_encoder(BUNDLED.encoder)


@pytest.fixture(scope="session")
def tags_store(tmp_path_factory: pytest.TempPathFactory, words: Words, encoder: Encoder) -> Path:
    """A store with nothing but the tag vocabulary, to be copied: filling it takes seconds."""
    store = EmbeddedStore(tmp_path_factory.mktemp("tags") / "store")
    ensure_tags(store, words, class_names(encoder))
    return store.root


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's pictures."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    return sample(tmp_path_factory.mktemp("originals"))


@pytest.fixture(scope="session")
def made(originals: Path, shared_cache: Path, tags_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``photos`` (the sample) and ``store`` (its collection), made by the command."""
    place = tmp_path_factory.mktemp("made")
    shutil.copytree(originals, place / "photos")
    copy_store(tags_store, place / "store")
    env = {**os.environ, "WORDSIGHT_STORE": str(place / "store"), "WORDSIGHT_CACHE": str(shared_cache)}
    ran = command("ingest", "run", "photos", "--offline", cwd=place, env=env)
    assert (ran.status, ran.out) == (0, ""), ran.err
    assert "photos: 15 pictures; 15 new" in ran.err
    return place


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In ``made``, which is to be left as it is."""
    monkeypatch.setenv("WORDSIGHT_STORE", str(made / "store"))
    monkeypatch.chdir(made)
    return made
