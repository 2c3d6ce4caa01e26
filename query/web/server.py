"""The server process: its socket, its start, its end.

It must not know what is served.
"""

from __future__ import annotations

import signal
import socket
import threading
import webbrowser
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from ingest.stores import Store
from model.errors import UsageError
from model.system.blocks import give_large_blocks_back
from model.system.events import note
from query.web.access import Access
from query.web.app import make_app
from query.web.connections import KEEP_ALIVE_SECONDS, Connection, room_for_connections
from query.web.decoding import Bench
from query.web.ending import Ending
from query.web.library import Library
from query.web.observing import AccessLog
from query.web.service import Limits, Service
from query.web.sessions import Sessions

BACKLOG = 128
TAKEN_BACK_SECONDS = 2
"""Beyond what `query.web.ending` gives requests: then uvicorn cancels what is left."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``decode_memory``: bytes."""

    host: str
    port: int
    open_page: bool
    limits: Limits
    max_megapixels: int
    decode_memory: int
    log: str = ""
    root_path: str = ""


def run(store: Store, collection: str, only: bool, access: Access, settings: Settings) -> None:
    """Serve until asked to end.

    Raises:
        UsageError: the address cannot be used, or the log cannot be written.
    """
    give_large_blocks_back()
    log = AccessLog(settings.log) if settings.log else None
    listening = listen(settings.host, settings.port)
    library = Library(store, collection, only=only, max_megapixels=settings.max_megapixels)
    with listening:
        if missing := library.warm_up():
            note(missing)
        sessions = Sessions()
        service = Service(library, settings.limits, Bench(settings.decode_memory), root_path=settings.root_path)
        address = _address(listening, settings.host) + settings.root_path.lstrip("/")
        note(f"serving {_summary(library)} at {address}; Ctrl-C ends it")
        if settings.open_page:
            page = f"{address}?ticket={sessions.ticket()}" if access.token else address
            threading.Timer(0.5, webbrowser.open, [page]).start()
        served = make_app(service, access, sessions, log)
        Server(config(served.app, settings.root_path), served.ending).run(sockets=[listening])


def config(app: ASGIApp, root_path: str = "") -> uvicorn.Config:
    """How the application is served."""
    Connection.most = room_for_connections()
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        log_level="error",  # what clients do wrong is told to them
        access_log=False,  # `query.web.observing` writes one, without tokens
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=TAKEN_BACK_SECONDS,
        h11_max_incomplete_event_size=1 << 16,
        root_path=root_path,
    )


class Server(uvicorn.Server):
    """A server whose end is for `Ending` to see to. ``ending``: None where requests may just be cut off."""

    def __init__(self, config: uvicorn.Config, ending: Ending | None = None) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        if self._ending:
            self._ending.begin()
            await self._ending.wait()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and not connection.is_silent:
                connection.transport.abort()
        await super().shutdown(sockets)
        if signal.SIGTERM in self._captured_signals and self._ending:
            note(f"ended: {self._ending.answered} requests still answered, {self._ending.refused} told to come back")


def _summary(library: Library) -> str:
    summaries = library.summaries()
    if len(summaries) == 1:
        points = summaries[0].points
        return f"{summaries[0].name} ({points} picture{'' if points == 1 else 's'})"
    return f"{len(summaries)} collections"


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections. Raises UsageError where the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, or asyncio does not turn Nagle's algorithm off, and every answer takes 40 ms longer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host.strip("[]"), port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen at {host}, port {port}: {error.strerror or error}; try another --port"
        ) from error
    return listening


def _address(listening: socket.socket, host: str) -> str:
    """What to type into a browser on this machine."""
    port = listening.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"
