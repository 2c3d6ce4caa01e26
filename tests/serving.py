"""The web application on a real socket, in this process or as the installed command."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ingest.stores import Store
from query.web.access import Access
from query.web.app import make_app
from query.web.decoding import Bench
from query.web.library import Library
from query.web.server import Server, config, listen
from query.web.service import Limits, Service
from tests.commands import SCRIPTS

LOCAL = Access.decide("127.0.0.1", "", no_token=False, allowed=())


@contextmanager
def serving(
    store: Store,
    collection: str,
    access: Access = LOCAL,
    *,
    only: bool = False,
    max_upload: int = 20 << 20,
    max_megapixels: int = 50,
    fetch_urls: bool = False,
    fetch_private: bool = False,
    bench: Bench | None = None,
    root_path: str = "",
) -> Iterator[httpx.Client]:
    """A client of the application, which a thread serves."""
    library = Library(store, collection, only=only, max_megapixels=max_megapixels)
    service = Service(
        library, Limits(max_upload, fetch_urls, fetch_private), bench or Bench(places=2), root_path=root_path
    )
    with listen("127.0.0.1", 0) as listening:
        served = make_app(service, access)
        server = Server(config(served.app, root_path), served.ending)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@dataclass
class Served:
    """A running ``query serve``. ``address``: with a slash at its end."""

    process: subprocess.Popen[bytes]
    address: str
    told: list[str]

    def end(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def serve(*options: str | Path, env: dict[str, str] | None = None) -> Iterator[Served]:
    """``query serve`` as a user starts it, at a free port."""
    command: Sequence[Any] = [SCRIPTS / "query", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=env)
    assert process.stderr is not None
    told: list[str] = []
    try:
        for line in process.stderr:
            told.append(line.decode().rstrip())
            if found := re.search(r"at (http://\S+/); Ctrl-C", told[-1]):
                yield Served(process, found[1], told)
                return
        raise AssertionError(f"it did not start: {told}")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
