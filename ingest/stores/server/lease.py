"""One run at a time on a server's collection: a record in it says who writes it, and is renewed while it does.

The server itself takes any number of writers. But a run holds the collection's projection from its beginning: one that
goes on while another changes it would add vectors of the old kind. Clocks of two machines may differ by minutes, so no
clock but the own decides: each renewal raises a beat, and only a mark whose beat was watched not to move is taken over.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from ingest.errors import StoreError, StoreInUse
from ingest.stores.server.models import models
from ingest.stores.server.records import LEASE, METADATA, VERSION, Records
from model.system.events import note
from model.system.process import forget, is_running, new_token, pid_scope

RENEW_SECONDS = 20.0
SURE_SECONDS = 25.0
"""After the last renewal that was confirmed, the holder writes nothing before it has asked again."""

WATCHED_SECONDS = 60.0
"""A mark that does not move for so long belongs to nobody: its holder stopped writing before, and what it had sent has
ended too (`client.RUN`)."""

FRESH_SECONDS = 180.0
"""By the clocks of both machines: a mark younger than that is not even watched, whoever comes is refused at once."""

LOOK_SECONDS = 2.0

LEASE_FIELD = VERSION
"""The payload's field that conditions ask for: the holder's token, and the token with the beat."""

FREE = "free"

PARTS = "parts"
"""Of the record of the collection: the folders that ever had a lease of their own."""


class Lease:
    """The right to write one collection, held while the ``with`` lasts.

    Args:
        presumed: who holds it where no mark is there: a collection that is being made has its maker before it has one.
        part: a folder of the dataset, which it is of with all below it; all of it where empty. Those of folders that
            have nothing in common can be held at once.

    Raises:
        StoreInUse: at entering: another run holds it, or one of a part around or inside this one.
    """

    def __init__(self, records: Records, name: str, presumed: Mapping[str, Any] | None = None, part: str = "") -> None:
        self._records = records
        self._name = name
        self._part = part
        self._presumed = presumed
        self._mine = this_process()
        self._beat = 0
        self._confirmed = -float("inf")
        self._is_lost = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._keep_up, name="lease", daemon=True)

    def __enter__(self) -> Self:
        try:
            if self._part:
                self._enlist()
            self._take()
        except BaseException:
            forget(self._mine["token"])
            raise
        self._renewing.start()
        try:
            self._check_others()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._renewing.join()
        forget(self._mine["token"])
        with suppress(StoreError):  # it lapses by itself
            free = {LEASE_FIELD: [FREE], "holder": None}
            self._records.write(LEASE, free, self._part, only_if=self._condition())

    @property
    def token(self) -> str:
        """What tells this lease from all others."""
        token: str = self._mine["token"]
        return token

    def check(self) -> None:
        """Raises StoreInUse where another run has taken it over: nothing may be written any more.

        It asks the server only where the last renewal is too long ago.
        """
        if not self._is_lost and time.monotonic() - self._confirmed >= SURE_SECONDS:
            self._renew()
        if self._is_lost:
            raise StoreInUse(
                f"another run has taken over collection {self._name!r}, since this one was not heard of: "
                "it has stopped writing; run it again when the other has ended"
            )

    def _enlist(self) -> None:
        """Let whoever takes the lease of a part around or inside this one know where to look."""
        if self._part not in (self._records.read(METADATA) or {}).get(PARTS, []):
            self._records.change(METADATA, lambda there: {**there, PARTS: sorted({*there.get(PARTS, []), self._part})})

    def _check_others(self) -> None:
        """Of two that take overlapping ones at once each has its own mark there before it looks for the other's."""
        listed = (self._records.read(METADATA) or {}).get(PARTS, [])
        for part in ["", *listed]:
            if part != self._part and _overlap(part, self._part):
                held = self._read(part)
                holder = _holder(held)
                if holder and not _has_ended(holder):
                    if abs(time.time() - holder["at"]) < FRESH_SECONDS:
                        raise self._refusal(holder, part)
                    self._watch(held, holder, part)

    def _take(self) -> None:
        held = self._read()
        holder = _holder(held) if held else self._presumed
        if holder and not _has_ended(holder):
            if abs(time.time() - holder["at"]) < FRESH_SECONDS:
                raise self._refusal(holder)
            held = self._watch(held, holder)
        self._put(held[LEASE_FIELD][-1] if held else None)
        if self._is_lost:
            raise self._refusal(_holder(self._read()))

    def _watch(
        self, held: Mapping[str, Any] | None, holder: Mapping[str, Any], part: str | None = None
    ) -> Mapping[str, Any] | None:
        """See whether a mark moves; returns it as it is when nobody holds it any more."""
        note(
            f"{_shown(holder)} was writing collection {self._name!r} and may have been killed: "
            f"it is watched for {WATCHED_SECONDS:.0f} s before this run takes over"
        )
        until = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            now = self._read(part)
            if now != held:
                if now and _holder(now):
                    raise self._refusal(_holder(now))
                return now
        return held

    def _keep_up(self) -> None:
        while not self._is_lost and not self._ended.wait(RENEW_SECONDS):
            with suppress(StoreError):  # the next write asks again, and raises it
                self._renew()

    def _renew(self) -> None:
        with self._lock:
            if not self._is_lost:
                self._put(None)

    def _put(self, seen: str | None) -> None:
        """Write the mark where it is mine or as it was seen, and read back whose it is."""
        began = time.monotonic()
        self._beat += 1
        token = self._mine["token"]
        marks = [token, f"{token}/{self._beat}"]
        holder = {**self._mine, "at": time.time()}
        mark = {LEASE_FIELD: marks, "holder": holder}
        self._records.write(LEASE, mark, self._part, only_if=self._condition(seen))
        there = _holder(self._read())
        if there is not None and there["token"] == token:
            self._confirmed = began
        else:
            self._is_lost = True

    def _condition(self, seen: str | None = None) -> models.Filter:
        wanted = [self._mine["token"], *([seen] if seen else [])]
        return models.Filter(must=[models.FieldCondition(key=LEASE_FIELD, match=models.MatchAny(any=wanted))])

    def _read(self, part: str | None = None) -> Mapping[str, Any] | None:
        return self._records.read(LEASE, self._part if part is None else part)

    def _refusal(self, holder: Mapping[str, Any] | None, part: str | None = None) -> StoreInUse:
        by = f"{_shown(holder)}: wait until that ends" if holder else "another process: run it again"
        of = f"part {shown} of " if (shown := self._part if part is None else part) else ""
        return StoreInUse(f"{of}collection {self._name!r} is being written by {by}")


class PartLeases:
    """The leases of several folders of one dataset, which are held together."""

    def __init__(self, leases: Sequence[Lease]) -> None:
        self._leases = leases

    def check(self) -> None:
        """As of each of them."""
        for lease in self._leases:
            lease.check()


class BorrowedLease:
    """The lease of a run on another machine, for whoever writes for it.

    As the holder writes only while its renewals are confirmed, so this only while it sees them: it waits for the next
    one where the last is too long ago.

    Args:
        token: of the lease.
    """

    def __init__(self, records: Records, name: str, token: str) -> None:
        self._records = records
        self._name = name
        self._token = token
        self._mark: object = None
        self._moved = self._looked = -float("inf")
        self._lock = threading.Lock()

    @property
    def token(self) -> str:
        return self._token

    def check(self) -> None:
        """Raises StoreInUse where the run does not hold it any more: nothing may be written for it."""
        with self._lock:
            until = time.monotonic() + FRESH_SECONDS
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._look()
            while time.monotonic() - self._moved >= SURE_SECONDS:
                if time.monotonic() > until:
                    raise self._ended()
                time.sleep(LOOK_SECONDS)
                self._look()

    def _look(self) -> None:
        began = time.monotonic()
        mark = self._records.read(LEASE)
        holder = _holder(mark)
        if mark is None or holder is None or holder["token"] != self._token:
            raise self._ended()
        if mark[LEASE_FIELD] != self._mark:
            is_first = self._mark is None
            self._mark = mark[LEASE_FIELD]
            self._moved = began - (RENEW_SECONDS if is_first else 0)  # it may be as old as that already
        self._looked = began

    def _ended(self) -> StoreInUse:
        return StoreInUse(f"the run that holds collection {self._name!r} has ended or lost it: no more is written")


def this_process() -> dict[str, Any]:
    """What a mark says of its process; the token is new each time."""
    return {"host": socket.gethostname(), "scope": _scope(), "pid": os.getpid(), "token": new_token()}


def _scope() -> str:
    """Where the number of a process counts: machines that have their name from the same image differ in it."""
    return f"{pid_scope()}{hashlib.sha256(uuid.getnode().to_bytes(6)).hexdigest()[:8]}"


def _has_ended(process: Mapping[str, Any]) -> bool:
    """Whether a process that left a mark was one of this very machine, and runs no more."""
    is_here = (process["host"], process["scope"]) == (socket.gethostname(), _scope())
    return is_here and not is_running(process["pid"], process["token"])


def _overlap(part: str, other: str) -> bool:
    """Whether one folder is the other, or lies in it; the empty one is around all."""
    return not part or not other or f"{part}/".startswith(f"{other}/") or f"{other}/".startswith(f"{part}/")


def _holder(mark: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return mark["holder"] if mark else None


def _shown(holder: Mapping[str, Any]) -> str:
    return f"another process, {holder['pid']} on {holder['host']}"
