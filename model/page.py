"""A self-contained HTML page: one file without a script that fetches nothing; its content security policy forbids both.

Whatever comes from outside (names of files, labels, words) is escaped by `markupsafe` where it is put into markup. It
must not know what a page shows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import IO

from markupsafe import Markup

from model.pictures import MEDIA_TYPE

_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src"


def write_page(page: IO[bytes], *, title: str, style: str, header: Markup, body: Iterable[Markup]) -> None:
    """Write a page, ``body`` piece by piece as it comes.

    Args:
        style: the page's own CSS, beside that of all pages.
    """
    head, tail = asset("model", "page.html").split("{body}")
    style = asset("model", "page.css") + style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"{_POLICY} 'sha256-{digest}'"
    page.write(Markup(head).format(policy=policy, title=title, style=Markup(style), header=header).encode())
    for piece in body:
        page.write(piece.encode())
    page.write(tail.encode())


@cache
def asset(package: str, name: str) -> str:
    """A text file that is part of one of our packages."""
    return files(package).joinpath(name).read_text("utf-8")


def data_address(jpeg: bytes) -> str:
    """A JPEG file as a ``data:`` address, so that the image is in the page itself."""
    return f"data:{MEDIA_TYPE};base64,{base64.b64encode(jpeg).decode()}"
