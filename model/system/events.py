"""Events of the engine: notes, and the progress of a long task. Nothing is printed here.

The commands listen and print (`model.system.terminal`); a program that uses the packages gets no events unless it
listens. There is one listener per process, because work goes on in threads that its caller did not start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol


class Progress:
    """The progress of one task.

    Args:
        advance: called with the amount done since the last call, and a detail to show beside it.
    """

    def __init__(self, advance: Callable[[float, str], None]) -> None:
        self._advance = advance

    def advance(self, amount: float = 1, detail: str = "") -> None:
        """Count ``amount`` more as done; ``detail`` is shown beside the bar."""
        self._advance(amount, detail)


class Listener(Protocol):
    """Receives events."""

    def note(self, text: str) -> None:
        """One sentence for the user."""
        ...

    def progress(self, task: str, total: float, *, unit: str, in_bytes: bool) -> AbstractContextManager[Progress]:
        """A task of ``total`` units, which lasts as long as the block."""
        ...


class Silence:
    """A listener that ignores every event."""

    def note(self, text: str) -> None:
        pass

    def progress(
        self,
        task: str,  # noqa: ARG002
        total: float,  # noqa: ARG002
        *,
        unit: str,  # noqa: ARG002
        in_bytes: bool,  # noqa: ARG002
    ) -> AbstractContextManager[Progress]:
        return nullcontext(Progress(lambda _amount, _detail: None))


_listener: Listener = Silence()


def listen(listener: Listener) -> Listener:
    """Send events to ``listener`` from now on; returns the one before, to be put back."""
    global _listener
    before, _listener = _listener, listener
    return before


def note(text: str) -> None:
    """Send one sentence to the listener."""
    _listener.note(text)


@contextmanager
def progress(task: str, total: float, *, unit: str = "", in_bytes: bool = False) -> Iterator[Progress]:
    """A task of ``total`` of a ``unit``, whose progress the listener sees; with ``in_bytes`` amounts are sizes."""
    with _listener.progress(task, total, unit=unit, in_bytes=in_bytes) as shown:
        yield shown
