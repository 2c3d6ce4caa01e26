"""`query serve` as a process: beside an ingest, on what is wrong, at its end."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import httpx
import pytest

from model.encoders import Encoder
from tests.commands import SCRIPTS, command, refused
from tests.copies import copy_store
from tests.photographs import labelled_folder, sample
from tests.serving import serve


@pytest.fixture
def photos(tmp_path: Path, tags_store: Path, encoder: Encoder) -> Path:
    """The sample photographs, ingested."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    folder = sample(tmp_path / "photos")
    copy_store(tags_store, tmp_path / "store")
    assert command("ingest", "run", folder, "--offline").status == 0
    return folder


def test_an_ingest_and_a_server_go_on_beside_each_other(photos: Path, tmp_path: Path) -> None:
    """Every question is answered while pictures are added, and these are found; a drop is noticed."""
    labelled_folder(tmp_path / "more", photos, ("cat", "coffee", "rocket"), 25)
    failed: list[str] = []
    answered = 0
    with serve("-c", "photos") as served, httpx.Client(base_url=served.address, timeout=60) as client:
        ingest = [SCRIPTS / "ingest", "run", photos, "--offline"]
        shutil.move(tmp_path / "more", photos / "more")
        running = subprocess.Popen(ingest, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        lock = threading.Lock()

        def ask() -> None:
            nonlocal answered
            while running.poll() is None:
                answer = client.get("/api/v1/text", params={"q": "animal", "limit": 5})
                with lock:
                    answered += 1
                    if answer.status_code != 200:
                        failed.append(answer.text)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        _, told = running.communicate(timeout=120)
        for thread in threads:
            thread.join()
        assert running.returncode == 0, told
        assert not failed
        assert answered > 20
        assert client.get("/api/v1/text", params={"q": "animal"}).json()["total"] == 15 + 75
        assert command("query", "text", "animal").status == 0  # another reader has its turn too
        assert command("ingest", "drop", "photos", "--yes").status == 0
        gone = client.get("/api/v1/text", params={"q": "animal"})
        assert gone.status_code in (404, 503)


def test_ctrl_c_ends_it_and_gives_the_collection_back(photos: Path) -> None:
    with serve() as served:
        assert httpx.get(f"{served.address}api/v1/health").json()["status"] == "ok"
        assert served.told == [f"serving photos (15 pictures) at {served.address}; Ctrl-C ends it"]
        assert served.end() == 130
    assert command("query", "text", "vehicle").status == 0


def test_what_cannot_be_served_is_refused_in_a_sentence(photos: Path, tmp_path: Path) -> None:
    refused(command("query", "serve", "--port", "0", "-c", "nothere"), "nothere", "photos")
    refused(command("query", "serve", "--port", "0", "--snapshot", tmp_path), "is no snapshot")
    with serve() as served:
        port = served.address.rstrip("/").rpartition(":")[2]
        refused(command("query", "serve", "--port", port), port, "--port")
    refused(command("query", "serve", "--host", "no.such.host.invalid", "--no-token"), "no.such.host.invalid")


def test_without_the_extra_it_says_what_to_install() -> None:
    """As where only `pip install wordsight` was done."""
    script = textwrap.dedent("""
        import sys
        sys.modules["fastapi"] = None
        sys.argv = ["query", "serve", "--port", "0"]
        from query.__main__ import main
        main()
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install fastapi uvicorn" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_other_command_imports_the_server() -> None:
    script = (
        "import sys, query.cli; print(sorted({'fastapi', 'starlette', 'uvicorn', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
