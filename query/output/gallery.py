"""Answers as one HTML file that needs nothing else: the question, and thumbnails with score, label and path.

It must not know the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from markupsafe import Markup, escape

from model.page import asset, data_address, write_page
from model.projections import Tag
from model.system.names import one_line
from query.asking import PictureHit, Term

THUMBNAIL_PIXELS = 400
"""Twice the width of a column of the grid: sharp on a fine screen, some 20 kB each."""

_HEADER = Markup("{asked}<div>\n<h1>{heading}</h1>\n<p>{message}</p>\n</div>\n")
CARD = Markup(
    '<li><figure>{picture}<figcaption><span class="label" title="{label}">{label}</span>'
    '<span class="score">{score}</span><span class="path" title="{path}">{path}</span></figcaption></figure></li>\n'
)
_NEAREST = Markup('</ol>\n<h2>The nearest of the others</h2>\n<ol class="grid">\n')
_LINK = Markup('<a href="{address}">{inner}</a>')
_FRAMED = Markup('<span class="frame"><img src="{source}" alt="{name}"></span>')
_IMAGE = Markup('<img src="{source}" alt="{name}">')
_GONE = Markup('<span class="frame gone">{why}</span>')
_TAG = Markup('<tr><th scope="row">{word}</th><td class="score">{score}</td><td>{trained}</td></tr>\n')
_TERM = Markup(' <span class="{kind}">{sign} {text}</span>')


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the answers.

    ``subject``: the picture as the user named it, or empty for a question in words. ``file``: where it is, if
    it is a file. ``thumbnail``: a JPEG file of it. ``terms``: the words. ``message``: a line about the answers.
    """

    subject: str = ""
    file: str | None = None
    thumbnail: bytes | None = None
    terms: Sequence[Term] = ()
    message: str = ""

    @property
    def text(self) -> str:
        """The question on one line."""
        words = " ".join(f"{_sign(term)} {one_line(_phrase(term))}" for term in self.terms)
        return f"{one_line(self.subject)} {words}".strip() if self.subject else words.removeprefix("+ ")


def write_pictures(page: IO[bytes], heading: Heading, hits: Iterable[tuple[PictureHit, bytes | None]]) -> None:
    """Pictures found, each with its thumbnail or None where there is none; written as they come."""
    _write(page, heading, [Markup('<ol class="grid">\n')], _cards(hits), [Markup("</ol>\n")])


def _cards(hits: Iterable[tuple[PictureHit, bytes | None]]) -> Iterator[Markup]:
    """A line before the first that does not stand out."""
    is_standing = True
    for hit, thumbnail in hits:
        if is_standing and hit.stands_out is False:
            is_standing = False
            yield _NEAREST
        yield _card(hit, thumbnail)


def write_tags(page: IO[bytes], heading: Heading, tags: Iterable[Tag]) -> None:
    """Words found for a picture."""
    rows = (
        _TAG.format(word=tag.word, score=f"{tag.score:.4f}", trained="trained on" if tag.trained else "")
        for tag in tags
    )
    _write(page, heading, [Markup("<table>\n")], rows, [Markup("</table>\n")])


def _write(page: IO[bytes], heading: Heading, *answers: Iterable[Markup]) -> None:
    write_page(
        page,
        title=f"{heading.text} - wordsight",
        style=asset("query", "gallery.css"),
        header=_HEADER.format(asked=_asked(heading), heading=_title(heading), message=heading.message),
        body=chain.from_iterable(answers),
    )


def _asked(heading: Heading) -> Markup:
    if not heading.subject:
        return Markup("")
    if heading.thumbnail is None:
        return _GONE.format(why="no preview of the picture asked about")
    image = _IMAGE.format(source=data_address(heading.thumbnail), name="the picture asked about")
    return _linked(heading.file, image)


def _title(heading: Heading) -> Markup:
    terms = list(heading.terms)
    start = escape(one_line(Path(heading.subject).name or heading.subject))
    if not heading.subject and terms and terms[0].weight > 0:
        start = escape(one_line(_phrase(terms.pop(0))))
    return start + Markup("").join(
        _TERM.format(kind="plus" if term.weight > 0 else "minus", sign=_sign(term), text=one_line(_phrase(term)))
        for term in terms
    )


def _sign(term: Term) -> str:
    return "+" if term.weight > 0 else "\N{MINUS SIGN}"


def _phrase(term: Term) -> str:
    return term.text if abs(term.weight) == 1 else f"{abs(term.weight):g}:{term.text}"


def _card(hit: PictureHit, thumbnail: bytes | None) -> Markup:
    path = one_line(hit.picture.path)
    picture = picture_of(hit, thumbnail)
    label = one_line(hit.picture.label or "") + (" (damaged)" if hit.picture.damaged else "")
    score = f"{hit.score:.4f}{f' by {hit.matched}' if hit.matched else ''}"
    return CARD.format(picture=picture, label=label.strip(), score=score, path=path)


def picture_of(hit: PictureHit, thumbnail: bytes | None) -> Markup:
    """The thumbnail, which leads to the file where it is here."""
    if thumbnail is None:
        return _GONE.format(why="not here, or not readable")
    return _linked(hit.file, _FRAMED.format(source=data_address(thumbnail), name=one_line(hit.picture.path)))


def _linked(file: str | None, inner: Markup) -> Markup:
    try:
        return _LINK.format(address=Path(file).as_uri(), inner=inner) if file and Path(file).is_file() else inner
    except (OSError, ValueError):  # no path of this system
        return inner
