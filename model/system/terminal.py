"""What all commands share: errors become exit statuses, notes and progress go to stderr.

Results go to stdout, all else to stderr. Exit 0: answered; 1: nothing found, or nothing done because the answer to
`confirm` was no; 2: wrong use or failure; 70: a fault of the program itself (`model.system.fault`); 130: interrupted.
"""

from __future__ import annotations

import codecs
import json
import logging
import os
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model.errors import WordsightError
from model.system import events
from model.system.clock import in_words
from model.system.events import Progress

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

PLAIN_LINE_SECONDS = 10.0
"""Without a terminal, progress is one line at most this often."""


class NothingFoundError(Exception):
    """The question was fine and has no answer, or was withdrawn: exit status 1."""


def note(text: str) -> None:
    """One line on stderr, which no name in it can break; if nobody reads stderr any more, the work goes on."""
    line = "".join(c if unicodedata.category(c) != "Cc" else c.encode("unicode_escape").decode() for c in text)
    with suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201


class Terminal:
    """Listens to events and prints them on stderr (`model.system.events.Listener`)."""

    def note(self, text: str) -> None:
        note(text)

    def progress(self, task: str, total: float, *, unit: str, in_bytes: bool) -> AbstractContextManager[Progress]:
        return progress(task, total, unit=unit, in_bytes=in_bytes)


def path(text: str) -> Path:
    """Parse a path. An empty one, as from a variable that is not set, would mean this folder, and is refused."""
    if not text:
        raise typer.BadParameter("an empty path: is a variable not set?")
    return Path(text)


def confirm(question: str) -> bool:
    """Ask on stderr, and read the answer from standard input, whose end is a no.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    try:
        return typer.confirm(question, err=True)
    except typer.Abort as aborted:  # which would end with the status of nothing found, and says "Aborted" of both
        if isinstance(aborted.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        return False


def tell_version(wanted: bool) -> None:
    """The callback of ``--version``."""
    if wanted:
        from model import __version__

        with results():
            sys.stdout.write(f"wordsight {__version__}\n")
        sys.exit(0)


def make_app(purpose: str) -> typer.Typer:
    """An empty Typer app, set up like those of the other commands. ``purpose``: the first line of its help."""
    app = typer.Typer(help=purpose, no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def common(
        version: Annotated[
            bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Show the version.")
        ] = False,
    ) -> None:
        pass

    return app


def run_cli(app: Callable[..., object]) -> None:
    """Run a Typer app, turn its errors into one line on stderr and a status, and exit."""
    events.listen(Terminal())
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("wordsight").setLevel(logging.INFO)
    warnings.simplefilter("ignore")  # addressed to programmers, not to users
    for stream in (sys.stdout, sys.stderr):  # a letter that the locale lacks is escaped
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        note("error: there is no standard output to write answers to")
        sys.exit(2)
    try:
        app()
    except WordsightError as error:
        note(f"error: {error}")
        sys.exit(2)
    except NothingFoundError as nothing:
        if str(nothing):
            note(str(nothing))
        sys.exit(1)


@contextmanager
def results() -> Iterator[None]:
    """Wrap all writing to stdout: a reader that has seen enough closes the pipe, which is no failure."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes there
        sys.exit(0)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise WordsightError(f"cannot write the answers: {error.strerror}") from error


def write_json(records: Iterable[Mapping[str, Any]]) -> None:
    """One object a line on stdout; a letter that the locale lacks is escaped as in JSON."""
    escaped = codecs.lookup(sys.stdout.encoding).name != "utf-8"
    with results():
        sys.stdout.writelines(json.dumps(record, ensure_ascii=escaped) + "\n" for record in records)


@contextmanager
def progress(task: str, total: float, *, unit: str = "", in_bytes: bool = False) -> Iterator[Progress]:
    """A bar where stderr is a terminal, else a line now and then; with ``in_bytes``, amounts are shown as sizes."""
    if sys.stderr.isatty():
        with _bar(task, total, unit, in_bytes) as shown:
            yield shown
    else:
        yield _lines(task, total, unit, in_bytes)


@contextmanager
def _bar(task: str, total: float, unit: str, in_bytes: bool) -> Iterator[Progress]:
    from rich import progress as rich_progress
    from rich.console import Console

    columns: list[rich_progress.ProgressColumn | str] = ["{task.description}", rich_progress.BarColumn()]
    if in_bytes:
        columns += [rich_progress.DownloadColumn(binary_units=True), rich_progress.TransferSpeedColumn()]
    else:
        columns += [rich_progress.MofNCompleteColumn(), unit, _RateColumn()]
    columns += [rich_progress.TimeRemainingColumn(), "{task.fields[detail]}"]
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task_id = bar.add_task(task, total=total, detail="")

        def advance(amount: float, detail: str) -> None:
            bar.update(task_id, advance=amount)
            if detail:
                bar.update(task_id, detail=detail)

        yield Progress(advance)


def _RateColumn() -> ProgressColumn:  # noqa: N802 - a class made late, so that rich is imported only for a bar
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else _rate(speed))

    return RateColumn()


def _rate(speed: float) -> str:
    return f"{speed:.0f}/s" if speed >= 10 else f"{speed:.1f}/s"


def _lines(task: str, total: float, unit: str, in_bytes: bool) -> Progress:
    from model.system.disk import in_mb

    started = shown = time.monotonic()
    done = 0.0

    def advance(amount: float, detail: str) -> None:
        nonlocal done, shown
        done += amount
        now = time.monotonic()
        if now - shown < PLAIN_LINE_SECONDS:
            return
        shown = now
        rate = done / (now - started)
        left = f", {in_words(max(0, total - done) / rate)} left" if rate > 0 else ""
        if in_bytes:
            amounts, speed = f"{in_mb(int(done))} of {in_mb(int(total))}", f"{in_mb(int(rate))}/s"
        else:
            amounts, speed = f"{done:.0f} of {total:.0f} {unit}".rstrip(), _rate(rate)
        note(f"{task}: {amounts}, {speed}{left}{'  ' + detail if detail else ''}")

    return Progress(advance)
