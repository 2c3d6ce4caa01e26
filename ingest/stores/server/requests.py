"""Requests to a Qdrant server: tried again after passing failures, as large as it takes them, several in flight.

It must not know collections, only their names.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ingest.errors import StoreError
from ingest.stores import Begin, Layout
from ingest.stores.server.ahead import one_ahead
from ingest.stores.server.client import REST_BYTES, REST_NUMBER_BYTES, ServerClient
from ingest.stores.server.fault import CONFLICT, TOO_LARGE, Fault, Kind, is_passing, status_of, translated
from model.system.clock import in_words
from model.system.events import note

if TYPE_CHECKING:
    from qdrant_client import models
    from tenacity import RetryCallState

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds before the second attempt, doubled before each further one, and at most."""

FAILING_ATTEMPTS = 3
"""Of a question that a node fails at: it may be the collection that is broken, and there are others to ask."""

LIMITED_ATTEMPTS = 3
IN_FLIGHT = 4
"""Messages of points that are sent before the first is acknowledged: one is on its way while another is stored."""

POINT_BYTES = 3072
"""Of a point beside its numbers: id, punctuation and, in answers, the payload."""

MESSAGE_BYTES = REST_BYTES
"""Of what is sent one message after the other, such as the parts of a file."""

P = ParamSpec("P")
T = TypeVar("T")


class Requests:
    """Requests through one client to the server at ``where``.

    On the monotonic clock, ``disagreed_at``: when too few replicas last answered that were to agree; ``leaderless_at``:
    when the node last failed by which writes of strong ordering go.
    """

    def __init__(self, client: ServerClient, where: str) -> None:
        self.client = client
        self.where = where
        self.disagreed_at = self.leaderless_at = -math.inf
        self._largest: int | None = None
        self._is_waiting = False
        self._lock = threading.Lock()
        self._work = threading.local()

    def patient(self) -> AbstractContextManager[None]:
        """Wait for a server that goes away as long as a run does, while the ``with`` lasts."""
        return self.client.patient()

    def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the client, again after passing failures.

        Raises:
            StoreError: a kind of it for each fault, which is its cause.
        """
        return self._ask(lambda: call(*args, **kwargs))

    def one_wait(self) -> AbstractContextManager[None]:
        """All that is asked in the ``with`` takes no longer together than one request may."""
        return self.client.one_wait()

    def _ask(self, call: Callable[[], T]) -> T:
        with self.one_wait():
            return self._ask_patiently(call)

    def _ask_patiently(self, call: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            return call()
        except Fault as fault:
            if not is_passing(fault):
                raise self.translated(fault) from fault
            first = fault
        try:
            return self._ask_again(first, call, time.monotonic() - began)
        except Fault as fault:
            raise self.translated(fault) from fault

    def translated(self, fault: Fault) -> StoreError:
        """Our error for a fault; where a status has two meanings, the server is asked which."""
        if fault.kind is Kind.RIGHT and self._is_locked():
            fault = Fault(Kind.LOCKED, fault.reason, fault.status, node=fault.node)
        return translated(fault, self.where, has_key=self.client.has_key)

    def _is_locked(self) -> bool:
        with suppress(Fault):  # a server since 1.18 knows no locks
            return bool(self.client.locks().write)
        return False

    def _ask_again(self, first: Fault, call: Callable[[], T], before: float) -> T:
        """``before``: seconds that the first attempt took."""
        from tenacity import Retrying, retry_if_exception  # takes 0.1 s, and most questions are answered at once

        failed = iter([first])
        patience = self.client.patience
        is_ended = getattr(self._work, "is_ended", None)

        def again() -> T:
            for fault in failed:
                raise fault  # the attempt that was made
            return call()

        def is_over(state: RetryCallState) -> bool:
            waited = before + max(state.seconds_since_start or 0.0, state.idle_for)
            fault = state.outcome.exception() if state.outcome else None
            is_broken = isinstance(fault, Fault) and fault.kind is Kind.FAILING and patience.seconds <= LONGEST_WAIT
            attempts = FAILING_ATTEMPTS if is_broken else state.attempt_number + 1
            is_late = waited + state.upcoming_sleep > patience.seconds
            return bool(is_ended and is_ended.is_set()) or is_late or state.attempt_number >= attempts

        def say_so(state: RetryCallState) -> None:
            if state.attempt_number > 1 and patience.seconds > LONGEST_WAIT:
                self._note_waiting(first, patience.seconds)

        retrying = Retrying(
            stop=is_over, wait=_pause, retry=retry_if_exception(is_passing), before_sleep=say_so, reraise=True
        )
        answer = retrying(again)
        self._is_waiting = False
        return answer

    def _note_waiting(self, fault: Fault, seconds: float) -> None:
        """Once, however many requests wait."""
        with self._lock:
            was_waiting, self._is_waiting = self._is_waiting, True
        if not was_waiting:
            server = f"the Qdrant server at {fault.node or self.where}"
            note(f"{server} does not do its work now ({fault.reason}): waiting up to {in_words(seconds)} for it")

    def info(self, name: str) -> Any:
        """What the server knows of any collection, ours or not; raises CollectionNotFound."""
        return self.ask(self.client.get_collection, name)

    def metadata(self, name: str) -> Mapping[str, Any]:
        """The metadata of any collection, ours or not; raises CollectionNotFound."""
        return self.info(name).config.metadata or {}

    def create(
        self,
        name: str,
        vectors: dict[str, models.VectorParams],
        key: str,
        value: object,
        sparse: dict[str, models.SparseVectorParams] | None = None,
        layout: Layout = Layout(),
    ) -> None:
        """Create a collection; one with that metadata may be there, from a request whose answer was lost."""
        create, metadata = self.client.create_collection, {key: value}
        try:
            self.ask(
                create,
                name,
                vectors_config=vectors,
                sparse_vectors_config=sparse or None,
                metadata=metadata,
                on_disk_payload=True,
                shard_number=layout.shards,
                replication_factor=layout.replicas,
                write_consistency_factor=layout.write_consistency,
            )
        except StoreError as error:
            if not has_status(error, CONFLICT) or self.metadata(name).get(key) != json.loads(json.dumps(value)):
                raise

    def upsert(self, name: str, points: Iterable[Mapping[str, Any]], check: Callable[[], None]) -> None:
        """Add or replace points, each as JSON with vectors as arrays; all are acknowledged when it returns.

        Args:
            check: called before each request, to raise where nothing may be written any more.
        """
        self._send_all(checked(self.client.upsert, check), name, _last_of_each(points), self._point_bytes)

    def update_vectors(self, name: str, points: Iterable[Mapping[str, Any]], check: Callable[[], None]) -> None:
        """Replace vectors of points that are there, as `upsert`."""
        self._send_all(checked(self.client.update_vectors, check), name, _last_of_each(points), self._point_bytes)

    def overwrite_payloads(
        self, name: str, payloads: Mapping[str, Mapping[str, Any]], check: Callable[[], None]
    ) -> None:
        """Replace the payloads of points that are there, by id, as `upsert`."""
        operations = ({"overwrite_payload": {"payload": payload, "points": [id]}} for id, payload in payloads.items())
        self._send_all(
            checked(self.client.batch_update_points, check),
            name,
            operations,
            lambda operation: POINT_BYTES + len(json.dumps(operation["overwrite_payload"]["payload"])),
        )

    def write(self, call: Callable[..., object], name: str, items: Iterable[T], size_of: Callable[[T], int]) -> None:
        """Write items one message after the other.

        Args:
            call: the client's method for a list of them. size_of: bytes of an item in a request.
        """
        for batch in self._by_bytes(items, size_of, MESSAGE_BYTES):
            self._send(call, name, batch, size_of)

    def points_at_once(self, numbers: int, *, in_bulk: bool = False) -> int:
        """How many points with so many numbers an answer holds; in bulk, over gRPC where that answers."""
        number_bytes, largest = (
            (self.client.number_bytes, self._message_bytes()) if in_bulk else (REST_NUMBER_BYTES, REST_BYTES)
        )
        return max(1, largest // (number_bytes * numbers + POINT_BYTES))

    def pages(
        self, name: str, wanted: Mapping[str, Any] | None, limit: int, vectors: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        """Pages of all points that pass, in the order of ids; each is asked for while the one before is worked on."""
        with one_ahead() as start:
            ask, named = self.client.scroll, list(vectors) or False

            def page(offset: object) -> tuple[Sequence[Any], object]:
                return self.ask(ask, name, wanted, limit, offset=offset, with_vectors=named)

            found, offset = page(None)
            while offset is not None:
                following = start(page, offset)
                yield found
                found, offset = following.result()
            yield found

    @contextmanager
    def in_flight(self) -> Iterator[Begin]:
        """Writes of which several are under way: see `Collection.writing_ahead`.

        Of one that failed, or a run that was ended, the others are not tried again, and those under way are waited for:
        who holds the lease after that must not meet them.
        """
        threads, is_ended = ThreadPoolExecutor(IN_FLIGHT, "points"), threading.Event()
        begun: deque[tuple[Future[None], Callable[[], None]]] = deque()

        def settle(most: int) -> None:
            while begun and (len(begun) > most or begun[0][0].done()):
                future, acknowledged = begun.popleft()
                future.result()
                acknowledged()

        def begin(write: Callable[[], None], acknowledged: Callable[[], None]) -> None:
            settle(IN_FLIGHT - 1)
            begun.append((threads.submit(self._within, is_ended, write), acknowledged))

        try:
            yield begin
            settle(0)
        finally:
            is_ended.set()
            threads.shutdown(wait=True, cancel_futures=True)

    def _within(self, is_ended: threading.Event, write: Callable[[], None]) -> None:
        """Write as a part of a work that may be ended."""
        self._work.is_ended = is_ended
        write()

    def _send_all(
        self, call: Callable[..., object], name: str, items: Iterable[T], size_of: Callable[[T], int]
    ) -> None:
        """Write items in few large messages; several in flight, where they are not that already."""
        batches = self._by_bytes(items, size_of, self._message_bytes())
        first, second = next(batches, None), next(batches, None)
        every = chain(filter(None, (first, second)), batches)
        if not second or getattr(self._work, "is_ended", None):
            for batch in every:
                self._send(call, name, batch, size_of)
            return
        with self.in_flight() as begin:
            for batch in every:
                begin(partial(self._send, call, name, batch, size_of), _nothing)

    def _by_bytes(self, items: Iterable[T], size_of: Callable[[T], int], largest: int) -> Iterator[list[T]]:
        """Lists of items of up to the size of a message together, of one item where that alone is more."""
        batch: list[T] = []
        size = 0
        for item in items:
            more = size_of(item)
            if batch and size + more > min(largest, self._largest or largest):
                yield batch
                batch, size = [], 0
            batch.append(item)
            size += more
        if batch:
            yield batch

    def _send(
        self,
        call: Callable[..., object],
        name: str,
        batch: list[T],
        size_of: Callable[[T], int],
    ) -> None:
        """Write a batch; what is not taken, in halves: one that is too large, and smaller from then on.

        Whether 400 means the size, as of JSON above the server's limit and of more points than strict mode allows, or
        a point that is wrong, the halves show.
        """
        try:
            self._ask(_divisible(lambda: call(name, batch, wait=True), len(batch)))
        except StoreError as error:
            if len(batch) == 1 or not _may_be_size(error):
                raise
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                self._send(call, name, half, size_of)
            with self._lock:
                taken = sum(map(size_of, batch)) // 2
                self._largest = min(self._largest or taken, taken)

    def _message_bytes(self) -> int:
        largest = self.client.message_bytes
        return min(largest, self._largest or largest)

    def _point_bytes(self, point: Mapping[str, Any]) -> int:
        numbers = sum(_numbers_of(vector) for vector in point["vector"].values())
        payload = len(json.dumps(point["payload"])) if "payload" in point else 0
        return self.client.number_bytes * numbers + payload + POINT_BYTES


def has_status(error: StoreError, *statuses: int) -> bool:
    """Whether a request failed with one of these HTTP statuses."""
    return error.__cause__ is not None and status_of(error.__cause__) in statuses


def _may_be_size(error: StoreError) -> bool:
    return isinstance(error.__cause__, Fault) and error.__cause__.kind in (Kind.TOO_LARGE, Kind.REFUSED)


def _divisible(call: Callable[[], T], points: int) -> Callable[[], T]:
    """A rate limit that does not say when to come again, time after time, is of fewer points than are sent at once."""
    limited = 0

    def judged() -> T:
        nonlocal limited
        try:
            return call()
        except Fault as fault:
            limited += fault.kind is Kind.RATE and fault.retry_after is None
            if limited < LIMITED_ATTEMPTS or points == 1:
                raise
            raise Fault(Kind.TOO_LARGE, fault.reason, TOO_LARGE, node=fault.node) from fault

    return judged


def _pause(state: RetryCallState) -> float:
    """As long as the server asks for, else longer each time."""
    fault = state.outcome.exception() if state.outcome else None
    asked = fault.retry_after if isinstance(fault, Fault) else None
    return min(LONGEST_WAIT, FIRST_WAIT * 2 ** (state.attempt_number - 1)) if asked is None else asked


def checked(call: Callable[P, T], check: Callable[[], None]) -> Callable[P, T]:
    """A call that is made only where ``check`` does not raise."""

    def call_checked(*args: P.args, **kwargs: P.kwargs) -> T:
        check()
        return call(*args, **kwargs)

    return call_checked


def _last_of_each(points: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Of points with the same id only the last: those in flight may arrive in any order."""
    return {point["id"]: point for point in points}.values()


def _numbers_of(vector: Any) -> int:
    return 2 * len(vector["indices"]) if isinstance(vector, dict) else len(vector)


def _nothing() -> None:
    """To be done when a message is acknowledged that others follow."""
