"""Work done ahead: in order, bounded, and not held up by a piece that never ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from model.errors import DatasetError
from model.pictures import in_order
from tests.waiting import wait_until

LATE = -1


def ahead_of(
    work: Callable[[int], int], items: Iterable[int], *, threads: int, ahead: int, limit: float = 60
) -> Iterator[int]:
    return in_order(work, items, threads=threads, ahead=ahead, limit=lambda _: limit, late=lambda _: LATE)


def test_results_come_in_order_though_work_ends_in_another() -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (7 - item % 8))
        return item * 10

    assert list(ahead_of(work, range(40), threads=4, ahead=8)) == [item * 10 for item in range(40)]


def test_no_more_is_taken_in_advance_than_allowed() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(1000):
            taken = item + 1
            yield item

    results = ahead_of(lambda item: item, items(), threads=2, ahead=5)
    for given in range(1, 51):
        next(results)
        assert taken <= given + 5
    results.close()
    assert taken < 60


def test_work_is_done_in_advance_while_nobody_asks() -> None:
    done = threading.Semaphore(0)

    def work(item: int) -> int:
        done.release()
        return item

    results = ahead_of(work, range(100), threads=2, ahead=6)
    next(results)
    for _ in range(6):
        assert done.acquire(timeout=5)
    results.close()


def test_stopping_early_leaves_no_thread() -> None:
    results = ahead_of(lambda item: item, range(10_000), threads=3, ahead=50)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_an_error_in_the_work_reaches_the_caller_in_its_place() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ZeroDivisionError
        return item

    results = ahead_of(work, range(10), threads=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What work waits for that does not end by itself; set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_what_takes_too_long_is_late_and_the_rest_is_done(stuck: threading.Event) -> None:
    def work(item: int) -> int:
        if item in (2, 3, 7):
            stuck.wait()
        return item

    results = list(ahead_of(work, range(12), threads=2, ahead=4, limit=0.3))
    assert results == [0, 1, LATE, LATE, 4, 5, 6, LATE, 8, 9, 10, 11]


def test_time_spent_waiting_for_a_thread_does_not_count() -> None:
    def work(item: int) -> int:
        time.sleep(0.05)
        return item

    assert list(ahead_of(work, range(40), threads=1, ahead=40, limit=1.5)) == list(range(40))  # two seconds in all


def test_a_thread_given_up_ends_with_its_piece(stuck: threading.Event) -> None:
    results = ahead_of(lambda item: item if item else int(stuck.wait()), range(5), threads=1, ahead=2, limit=0.1)
    assert list(results) == [LATE, 1, 2, 3, 4]
    stuck.set()
    wait_until(lambda: all(thread.name != "decode" for thread in threading.enumerate()))


def test_when_nothing_ends_any_more_the_whole_is_given_up(stuck: threading.Event) -> None:
    results = ahead_of(lambda item: item if item < 3 else int(stuck.wait()), range(100), threads=2, ahead=4, limit=0.05)
    got: list[int] = []
    with pytest.raises(DatasetError, match="is their disk still there"):
        got.extend(results)
    assert got == [0, 1, 2] + [LATE] * 8  # four for each of the two threads


def test_a_process_ends_though_a_thread_does_not() -> None:
    code = """
import threading
from model.pictures.prefetch import in_order
never = threading.Event()
print(list(in_order(lambda i: never.wait(), range(1), threads=1, ahead=1, limit=lambda _: 0.1, late=lambda _: "late")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert (done.stdout, done.stderr) == ("['late']\n", "")
