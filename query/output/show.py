"""What answers are written to: lines, a page, the terminal as pictures.

It must not know how a question is answered.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

from ingest.stores import Store
from model.errors import UsageError
from model.system.atomic import replace_file
from model.system.cache import cache_dir, cache_errors
from model.system.disk import in_mb
from model.system.events import note, progress
from model.system.paths import expanded, real_path
from model.system.terminal import NothingFoundError, results
from query.asking import Answer, Group, PictureHit, Question, TagsAnswer, TagsQuestion
from query.output import render
from query.output.message import cut_message

Item = TypeVar("Item")

STDOUT = "-"
KEPT_PAGES = 20
"""Pages that `--open` keeps in the cache: a browser may be asked to load one again."""

DOCTYPE = b"<!doctype html>"


@dataclass(frozen=True, slots=True)
class Show:
    """What is wanted. ``html``: a file for a page, or ``-``; ``open_page``: in the browser; ``preview``: in here.

    Raises:
        UsageError: wishes that exclude each other, or a file that is no page and would be lost.
    """

    style: render.Style
    html: str = ""
    open_page: bool = False
    preview: bool = False

    def __post_init__(self) -> None:
        lines_for_programs = self.style.json or self.style.paths_only or self.style.null
        if lines_for_programs and (self.preview or self.html == STDOUT):
            wish = "--preview" if self.preview else "--html -"
            raise UsageError(f"{wish} and --json or --paths-only exclude each other: choose one")
        if self.html == STDOUT and (self.open_page or self.preview):
            raise UsageError("--html - writes the page to standard output: leave out --open and --preview")
        if self.html and self.html != STDOUT:
            _check_target(self._file)

    @property
    def _is_page_wanted(self) -> bool:
        return bool(self.html or self.open_page)

    @property
    def _file(self) -> Path:
        """Where the page goes; of a link, where it leads, which is what is replaced."""
        return real_path(expanded(Path(self.html)))

    def pictures(self, question: Question, answer: Answer, store: Store) -> None:
        """Lines, page and preview of an answer, and its messages on stderr. ``store``: the one asked.

        Raises:
            NothingFoundError: after all that, where there is no picture, or none that stands out.
        """
        cut = cut_message(answer)
        is_found = bool(answer.hits) and answer.standing != 0
        _tell([*answer.messages, cut if is_found else ""])
        if self.preview and answer.hits:
            _draw(answer.hits, store)
        if self.html != STDOUT and answer.hits:
            render.write_hits(answer.hits, self.style)
        if self._is_page_wanted:
            self._write(_picture_page(question, answer, store))
        if not is_found:
            raise NothingFoundError(cut)

    def tags(self, question: TagsQuestion, answer: TagsAnswer, store: Store) -> None:
        """Words for a picture; as `pictures`."""
        _tell(answer.messages)
        if self.html != STDOUT and answer.tags:
            render.write_tags(answer.tags, self.style)
        if self._is_page_wanted:
            self._write(_tags_page(question, answer, store))
        if not answer.tags:
            raise NothingFoundError("no word found")

    def duplicates(self, groups: Sequence[Group], store: Store) -> None:
        """Groups of duplicates as lines, and as a page; as `pictures`."""
        if self.html != STDOUT:
            render.write_duplicates(groups, self.style)
        if self._is_page_wanted:
            self._write(_duplicates_page(groups, store))

    def _write(self, write: Callable[[IO[bytes]], None]) -> None:
        if self.html == STDOUT:
            with results():
                write(sys.stdout.buffer)
            return
        if self.html:
            path = self._file
            with _file_errors(path), replace_file(path) as page:
                write(page)
        else:
            path = _cached_page()
            with cache_errors(path), replace_file(path) as page:
                write(page)
        note(f"page: {path}, {in_mb(path.stat().st_size)}")
        if self.open_page:
            import webbrowser

            if not webbrowser.open(path.as_uri()):
                note("could not start a browser: open that file yourself")


def _tell(messages: Iterable[str]) -> None:
    for message in messages:
        if message:
            note(message)


def _draw(hits: Sequence[PictureHit], store: Store) -> None:
    from query.output import preview
    from query.output.thumbnails import thumbnails_of

    if reason := preview.why_not():
        note(reason)
        return
    with results():
        preview.write_preview(thumbnails_of(hits, store, preview.THUMBNAIL_PIXELS))


# Imported where they are wanted: most questions show lines only.


def _picture_page(question: Question, answer: Answer, store: Store) -> Callable[[IO[bytes]], None]:
    from query.output import gallery
    from query.output.page_heading import heading_of
    from query.output.thumbnails import thumbnails_of

    heading = heading_of(question, answer, store)
    thumbnails = _with_progress(thumbnails_of(answer.hits, store, gallery.THUMBNAIL_PIXELS), len(answer.hits))
    return lambda page: gallery.write_pictures(page, heading, thumbnails)


def _tags_page(question: TagsQuestion, answer: TagsAnswer, store: Store) -> Callable[[IO[bytes]], None]:
    from query.output import gallery
    from query.output.page_heading import tags_heading

    heading = tags_heading(question, answer, store)
    return lambda page: gallery.write_tags(page, heading, answer.tags)


def _duplicates_page(groups: Sequence[Group], store: Store) -> Callable[[IO[bytes]], None]:
    from query.output.duplicates_page import duplicates_page, write_duplicates_page

    body, header = duplicates_page(groups, store)
    return lambda page: write_duplicates_page(page, _with_progress(body, len(groups)), header)


def _check_target(path: Path) -> None:
    try:
        if not path.parent.is_dir():
            raise UsageError(f"no folder {str(path.parent)!r} to write the page to")
        if path.exists() and not path.is_file():
            raise UsageError(f"{str(path)!r} is not a file: name one for the page")
        if path.exists():
            with path.open("rb") as file:
                if file.read(len(DOCTYPE)).lower() not in (DOCTYPE, b""):
                    raise UsageError(f"{str(path)!r} exists and is not a page: name another file")
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write the page to {str(path)!r}: {error}") from error


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot write {str(path)!r}: {reason}; what was there is as before") from error


def _cached_page() -> Path:
    """A new file in the cache; the oldest pages there make room."""
    folder = cache_dir() / "pages"
    with cache_errors(folder):
        pages = sorted(folder.glob("*.html"))
        for page in pages[: max(0, len(pages) - KEPT_PAGES + 1)]:
            page.unlink(missing_ok=True)
    return folder / f"{datetime.now():%Y-%m-%d %H.%M.%S} {secrets.token_hex(3)}.html"


def _with_progress(items: Iterable[Item], total: int) -> Iterator[Item]:
    with progress("making thumbnails", total, unit="pictures") as shown:
        for item in items:
            yield item
            shown.advance()
