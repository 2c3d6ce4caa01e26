"""What a node meets beside a kill: a disk that is full or cannot be written, TLS, a start; each in its own sentence."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.collection import Options
from ingest.errors import StoreError
from ingest.pipeline import run_folder
from tests.commands import Ran, command, refused
from tests.nodes import Node, one_node, store_of
from tests.ray_nodes import bits
from tests.server.conftest import PICTURES

CONSE = Options(offline=True, projection="conse")
DISK_MB = 400
"""Takes one collection with its logs, which are made before they are needed."""

pytestmark = pytest.mark.usefixtures("no_tags")


@contextmanager
def mounted(folder: Path, *how: str) -> Iterator[None]:
    """A mount while the block runs; skipped where that is not allowed."""
    try:
        made = subprocess.run(["mount", *how, folder], check=False, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"there is no mount: {error}")
    if made.returncode:
        pytest.skip(f"nothing may be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_in_the_middle_of_a_run(
    tmp_path: Path, photos: Path, at_write: Callable[[int, Callable[[], object]], None]
) -> None:
    (storage := tmp_path / "storage").mkdir()
    filler = storage / "filler"

    def fill() -> None:
        free = int(subprocess.check_output(["df", "--output=avail", "-k", storage], text=True).split()[1])
        subprocess.run(["fallocate", "-l", f"{free}K", filler], check=True)

    with (
        mounted(storage, "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none"),
        one_node(tmp_path) as node,
        store_of(node) as store,
    ):
        at_write(4, fill)
        with pytest.raises(StoreError, match=r"the disk of the Qdrant server at .* is full .*: make room there"):
            run_folder(store, photos, "", CONSE)
        with store.open("photos") as collection:
            assert 0 < collection.count() < PICTURES
        filler.unlink()
        report = run_folder(store, photos, "", CONSE)
        assert (report.total, report.failed + report.failed_before) == (PICTURES, 1)
        found = bits(store, "photos")
        run_folder(store, photos, "again", CONSE)
        assert found.keys() == bits(store, "again").keys()


def test_a_disk_that_cannot_be_written(tmp_path: Path, photos: Path) -> None:
    with one_node(tmp_path) as node, store_of(node) as store:
        run_folder(store, photos, "", CONSE)
        storage = tmp_path / "storage"
        with mounted(storage, "--bind", str(storage)):
            subprocess.run(["mount", "-o", "remount,ro,bind", storage], check=True)
            with pytest.raises(StoreError, match=r"the disk of the Qdrant server at .* cannot be written .*Read-only"):
                run_folder(store, photos, "other", CONSE)
            assert len(bits(store, "photos")) == PICTURES
        assert run_folder(store, photos, "other", CONSE).added == PICTURES


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Self-made, for this machine's loopback address, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    ask = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=node"
    made = [*ask.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    try:
        subprocess.run(made, cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no certificate can be made here: {error}")
    return folder / "cert.pem", folder / "key.pem"


def test_tls_with_a_certificate_of_ones_own(
    tmp_path: Path, photos: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(url: str) -> Ran:
        return command("ingest", "status", "--url", url)

    cert, key = map(str, certificate)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    tls = {"SERVICE__ENABLE_TLS": "true", "TLS__CERT": cert, "TLS__KEY": key}
    with one_node(tmp_path, tls) as node:
        refused(status(node.url), "certificate of the Qdrant server", "is not trusted", "name it in SSL_CERT_FILE")
        refused(status(node.url.replace("https", "http")), "is not a Qdrant server", "begins with https://")
        monkeypatch.setenv("SSL_CERT_FILE", "/not/there")
        refused(status(node.url), "SSL_CERT_FILE names '/not/there', which is no file of certificates")
        monkeypatch.setenv("SSL_CERT_FILE", cert)
        with store_of(node) as store:
            assert run_folder(store, photos, "", CONSE).added == PICTURES
            assert store.client._nodes[0].has_grpc, "points went over gRPC, which trusts it too"
        asked = command("query", "similar", next(photos.rglob("*.jpg")), "--url", node.url, "-n", "3")
        assert (asked.status, len(asked.out.splitlines())) == (0, 3), asked.err


def test_tls_where_there_is_none(node: Node) -> None:
    url = node.url.replace("http", "https")
    refused(command("ingest", "status", "--url", url), "does not speak TLS", "write http:// instead of https://")


def test_a_node_that_starts_while_a_run_waits(
    tmp_path: Path, photos: Path, at_write: Callable[[int, Callable[[], object]], None]
) -> None:
    """It listens when it has loaded its collections, and not before."""
    with one_node(tmp_path) as node, store_of(node) as store:
        node.stop()
        refused(command("ingest", "status", "--url", node.url), "no Qdrant server answers", "wait if it is starting")
        node.start()
        run_folder(store, photos, "first", CONSE)

        def starts_again() -> None:
            node.stop()
            node.start(wait=False)

        at_write(2, starts_again)
        assert run_folder(store, photos, "second", CONSE).added == PICTURES
        assert bits(store, "second").keys() == bits(store, "first").keys()
