"""Duplicates as one HTML file: the pictures of each group side by side, the one to keep first.

It must not know how they were found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from markupsafe import Markup

from ingest.stores import Store
from model.page import asset, write_page
from model.system.disk import in_mb
from model.system.names import one_line
from query.asking import Group, Member, PictureHit
from query.output.gallery import CARD, THUMBNAIL_PIXELS, picture_of
from query.output.thumbnails import thumbnails_of

_HEADER = Markup("<div>\n<h1>Duplicates</h1>\n<p>{message}</p>\n</div>\n")
_GROUP = Markup('<h2>{number}</h2>\n<ol class="grid">\n{cards}</ol>\n')


def duplicates_page(groups: Sequence[Group], store: Store) -> tuple[Iterator[Markup], Markup]:
    """The body, piece by piece as thumbnails are made, and the header."""
    others = sum(len(group.members) - 1 for group in groups)
    message = f"{len(groups)} groups, of each the one to keep first; {others} others. Nothing was changed."
    return _groups(groups, store), _HEADER.format(message=message)


def write_duplicates_page(page: IO[bytes], body: Iterable[Markup], header: Markup) -> None:
    write_page(page, title="Duplicates - wordsight", style=asset("query", "gallery.css"), header=header, body=body)


def _groups(groups: Sequence[Group], store: Store) -> Iterator[Markup]:
    hits = (PictureHit(member.picture, member.score, member.root) for group in groups for member in group.members)
    thumbnails = thumbnails_of(hits, store, THUMBNAIL_PIXELS)
    for number, group in enumerate(groups, start=1):
        cards = [_card(group, member, *next(thumbnails)) for member in group.members]
        yield _GROUP.format(number=number, cards=Markup("").join(cards))


def _card(group: Group, member: Member, hit: PictureHit, thumbnail: bytes | None) -> Markup:
    picture = member.picture
    size = f"{picture.width} \N{MULTIPLICATION SIGN} {picture.height}, {in_mb(picture.size)}"
    kind = "first" if member is group.members[0] else member.kind.value
    label = f"{kind} (damaged)" if picture.damaged else kind
    return CARD.format(picture=picture_of(hit, thumbnail), label=label, score=size, path=one_line(picture.path))
