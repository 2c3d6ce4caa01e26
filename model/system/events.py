"""What happens meanwhile, told to whoever listens: remarks, and how far a long task is. Nothing is printed here.

The commands listen and print (`model.system.terminal`); a program that uses the packages hears nothing unless it
listens. There is one listener a process, since work goes on in threads that are not its callers'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol


class Progress:
    """How far a task is.

    Args:
        advance: called with the amount that was done since, and a detail to show beside it.
    """

    def __init__(self, advance: Callable[[float, str], None]) -> None:
        self._advance = advance

    def advance(self, amount: float = 1, detail: str = "") -> None:
        """Count ``amount`` more as done; ``detail`` is shown beside the bar."""
        self._advance(amount, detail)


class Listener(Protocol):
    """Somebody who is told."""

    def note(self, text: str) -> None:
        """A remark, one sentence."""
        ...

    def progress(self, task: str, total: float, *, unit: str, in_bytes: bool) -> AbstractContextManager[Progress]:
        """A task of ``total`` units begins; it ends with the block."""
        ...


class Silence:
    """A listener that keeps everything to itself."""

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
    """From now on ``listener`` is told; returns the one before, to be put back."""
    global _listener
    before, _listener = _listener, listener
    return before


def note(text: str) -> None:
    """Tell one sentence."""
    _listener.note(text)


@contextmanager
def progress(task: str, total: float, *, unit: str = "", in_bytes: bool = False) -> Iterator[Progress]:
    """Tell how ``task`` goes on, out of ``total`` ``unit``; with ``in_bytes`` amounts are sizes."""
    with _listener.progress(task, total, unit=unit, in_bytes=in_bytes) as shown:
        yield shown
