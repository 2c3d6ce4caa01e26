"""What answers are written to: lines, a page, the terminal as pictures."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from ingest.stores import Store
from model.errors import PictureError, UsageError
from model.projections import Tag
from model.system.atomic import replace_file
from model.system.cache import cache_dir, cache_errors
from model.system.disk import in_mb
from model.system.events import note, progress
from model.system.paths import expanded, real_path
from model.system.terminal import results
from query.asking import STDIN, Found, ImageQuery, Search, Source, Term
from query.output import render

if TYPE_CHECKING:  # imported where they are wanted: most queries show lines only
    from query.output.gallery import Question

Item = TypeVar("Item")

STDOUT = "-"
KEPT_PAGES = 20
"""Pages that `--open` leaves in the cache: a browser may be asked to load one again."""

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
            _check_target(self.file)

    @property
    def page(self) -> bool:
        """Whether a page is wanted."""
        return bool(self.html or self.open_page)

    @property
    def file(self) -> Path:
        """Where the page goes; of a link, where it leads, which is what is replaced."""
        return real_path(expanded(Path(self.html)))

    def found(self, found: Sequence[Found], question: Question | None, store: Store) -> None:
        """Pictures. ``question``: what was asked, where a `page` is wanted."""
        if self.preview and found:
            _draw(found, store)
        if self.html != STDOUT and found:
            render.write_found(found, self.style)
        if question is not None:
            self._write(_page_of(found, question, store))

    def tags(self, tags: Sequence[Tag], question: Question | None) -> None:
        """Words for a picture. ``question``: as for `found`."""
        if self.html != STDOUT and tags:
            render.write_tags(tags, self.style)
        if question is not None:
            from query.output.gallery import write_tags

            asked = question
            self._write(lambda page: write_tags(page, asked, tags))

    def _write(self, write: Callable[[IO[bytes]], None]) -> None:
        if self.html == STDOUT:
            with results():
                write(sys.stdout.buffer)
            return
        if self.html:
            path = self.file
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
                note("no browser could be started: open that file in one")


def _draw(found: Sequence[Found], store: Store) -> None:
    from query.output import preview
    from query.output.thumbnails import thumbnails_of

    if told := preview.why_not():
        note(told)
        return
    with results():
        preview.write_preview(thumbnails_of(found, store, preview.THUMBNAIL_PIXELS))


def _page_of(found: Sequence[Found], question: Question, store: Store) -> Callable[[IO[bytes]], None]:
    from query.output import gallery
    from query.output.thumbnails import thumbnails_of

    thumbnails = _with_progress(thumbnails_of(found, store, gallery.THUMBNAIL_PIXELS), len(found))
    return lambda page: gallery.write_pictures(page, question, thumbnails)


def _check_target(path: Path) -> None:
    try:
        if not path.parent.is_dir():
            raise UsageError(f"no folder {str(path.parent)!r} to write the page to")
        if path.exists() and not path.is_file():
            raise UsageError(f"{str(path)!r} is no file: name one for the page")
        if path.exists():
            with path.open("rb") as file:
                if file.read(len(DOCTYPE)).lower() not in (DOCTYPE, b""):
                    raise UsageError(f"{str(path)!r} is there and is no page: name another file")
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


def ask_in_words(terms: Sequence[Term], told: str) -> Question:
    """A question without a picture. ``told``: a line about the answers."""
    from query.output.gallery import Question

    return Question(terms=terms, told=told)


def ask_with_picture(
    search: Search, store: Store, source: Source, asked: ImageQuery, terms: Sequence[Term], told: str
) -> Question:
    """A question about a picture, which is looked at once more for its thumbnail."""
    from model.pictures import thumbnail
    from query.output.gallery import THUMBNAIL_PIXELS, Question
    from query.output.thumbnails import thumbnail_of

    indexed = search.picture(asked.id) if asked.id and asked.stored else None
    file = str(source.path) if source.path else None
    small: bytes | None = None
    if indexed is not None:
        answer = Found(indexed, 1.0, search.metadata.root)
        small, file = thumbnail_of(answer, store, THUMBNAIL_PIXELS), answer.file
    else:
        with suppress(PictureError):
            small = thumbnail(source.read(), longest=THUMBNAIL_PIXELS, max_megapixels=0)  # it was just looked at
    subject = "a picture from standard input" if source.text == STDIN else source.text
    return Question(subject, file, small, terms, told)
