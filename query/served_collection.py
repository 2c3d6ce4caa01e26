"""A collection behind a running `query serve`, with the interface of `query.PictureCollection`: asked over HTTP.

It must not know stores or models: nothing of either is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from uuid import UUID

from ingest.errors import CollectionNotFound, StoreInUse, StoreUnreachable
from ingest.records import Picture
from model.errors import PictureError, PictureGone, PictureTooLarge, UsageError, WordsError, WordsightError
from model.pictures import PhotoMetadata
from model.projections import Tag
from query.asking import (
    DEFAULT_THRESHOLD,
    Answer,
    Group,
    Kind,
    Member,
    MinScore,
    PictureHit,
    PictureLike,
    Source,
    Space,
    TagsAnswer,
    query_picture,
)

if TYPE_CHECKING:
    import httpx

Pictures: TypeAlias = "PictureLike | Sequence[PictureLike]"
API = "/api/v1"
SECONDS = 60.0
PROBE_SECONDS = 5.0
MOST = 200
"""Answers that are had at once."""

ALL = "all"
"""In the place of a name: all collections that are served."""

ERRORS: dict[str, type[WordsightError]] = {
    "invalid": UsageError,
    "choose-collection": UsageError,
    "unknown-word": WordsError,
    "no-collection": CollectionNotFound,
    "not-found": PictureGone,
    "too-large": PictureTooLarge,
    "not-a-picture": PictureError,
    "busy": StoreInUse,
    "store-in-use": StoreInUse,
    "token-required": UsageError,
    "too-many": StoreInUse,
}
"""By the code of a problem; any other is a `StoreUnreachable`."""


def is_served(url: str) -> bool:
    """Whether a `query serve` answers there: a Qdrant server may as well.

    Raises:
        StoreUnreachable: nothing at all answers at one address, or a `query serve` at a shorter path.
    """
    import httpx

    try:
        if _is_health(url):
            return True
        root = httpx.URL(url).copy_with(raw_path=b"/", fragment=None)
        if root.path != httpx.URL(url).path and _is_health(str(root)):
            raise StoreUnreachable(f"no `query serve` answers at {url}: one does at {root}")
    except httpx.ConnectError as error:
        if "," not in url and "SSL" not in str(error):  # of a cluster's addresses another may answer
            raise StoreUnreachable(
                f"no `query serve` answers at {url}, and no Qdrant server ({error}): is it started there?"
            ) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        pass
    return False


def _is_health(url: str) -> bool:
    import httpx

    answer = httpx.get(f"{url.rstrip('/')}{API}/health", timeout=PROBE_SECONDS)
    try:
        return answer.status_code == 200 and answer.json().keys() == {"status", "version"}
    except (ValueError, AttributeError):
        return False


class ServedCollection:
    """A collection to ask over HTTP. Threads may share it.

    Pictures are named by an id of the collection, a path of a file here, the bytes of a picture file or a Pillow image;
    files are sent to the server, which keeps a small copy for an hour. Methods, parameters, results and errors are
    those of `PictureCollection`; `PictureHit.file` is the path on the server. Made by `open_collection`.
    """

    def __init__(self, url: str, collection: str = "", token: str = "") -> None:
        import httpx

        self._url = url.rstrip("/")
        self._has_token = bool(token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self._url + API, headers=headers, timeout=SECONDS)
        try:
            self.name = self._named(collection)
        except BaseException:
            self.close()
            raise

    def text(
        self,
        words: str,
        *,
        limit: int = 10,
        offset: int = 0,
        labels: str | Sequence[str] = (),
        under: str = "",
        after: str = "",
        before: str = "",
        camera: str = "",
        near: str = "",
        min_score: MinScore | None = None,
        names: bool = True,
        ocr: bool = True,
    ) -> Answer:
        """Pictures for words, the best first: as `PictureCollection.text`."""
        asked = _filtered(limit, offset, labels, under, after, before, camera, near, min_score)
        return self._answer("text", {"q": words, "names": names, "ocr": ocr, **asked})

    def similar(
        self,
        picture: Pictures,
        *,
        plus: str | Sequence[str] = (),
        minus: str | Sequence[str] = (),
        unlike: Pictures = (),
        vector: Space | str | None = None,
        limit: int = 10,
        offset: int = 0,
        labels: str | Sequence[str] = (),
        under: str = "",
        after: str = "",
        before: str = "",
        camera: str = "",
        near: str = "",
        min_score: MinScore | None = None,
    ) -> Answer:
        """Pictures like a picture, or like several added up: as `PictureCollection.similar`."""
        asked = _filtered(limit, offset, labels, under, after, before, camera, near, min_score)
        asked |= {"id": self._ids(picture), "minus_id": self._ids(unlike), "plus": _texts(plus), "minus": _texts(minus)}
        return self._answer("similar", {**asked, **({} if vector is None else {"vector": str(vector)})})

    def tags(
        self,
        picture: Pictures,
        *,
        limit: int = 10,
        labels: str | Sequence[str] | None = None,
        own_labels: bool = False,
        vocabulary: str | os.PathLike[str] | None = None,
        min_score: float | None = None,
    ) -> TagsAnswer:
        """Words for a picture, the best first: as `PictureCollection.tags`.

        Raises:
            UsageError: several pictures, or a vocabulary: over HTTP there are words for one, and lists of labels.
        """
        ids = self._ids(picture)
        if len(ids) != 1 or vocabulary is not None:
            raise UsageError("over HTTP words are for one picture, and chosen among `labels`: ask for one at a time")
        asked: dict[str, Any] = {"id": ids[0], "limit": limit, "own_labels": own_labels}
        if labels is not None:
            asked["labels"] = ",".join(_texts(labels))
        if min_score is not None:
            asked["min_score"] = min_score
        told = self._get("tags", asked)
        tags = tuple(Tag(one["word"], one["score"], one["trained"]) for one in told["results"])
        return TagsAnswer(told["collection"], tags)

    def duplicates(
        self,
        *,
        threshold: float = DEFAULT_THRESHOLD,
        alike: bool = False,
        prefer: str = "",
        labels: str | Sequence[str] = (),
        under: str = "",
        limit: int | None = None,
        others: str | Sequence[str] = (),
    ) -> list[Group]:
        """Groups of pictures that are one picture: as `PictureCollection.duplicates`.

        Raises:
            UsageError: other collections, which are not compared over HTTP.
        """
        if others:
            raise UsageError("over HTTP one collection is compared with itself: leave out `others`")
        asked = {"threshold": threshold, "alike": alike, "prefer": prefer, "label": _texts(labels), "under": under}
        groups: list[Group] = []
        while True:
            told = self._get("duplicates", {**asked, "offset": len(groups), "limit": 100})
            groups += [_group(one) for one in told["groups"]]
            if not told["groups"] or len(groups) >= (told["total"] if limit is None else limit):
                return groups[:limit]

    def pictures(self) -> list[Picture]:
        """All of the collection, by path."""
        found: list[Picture] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self._get("pictures", {"sort": "name", "limit": 200, "cursor": cursor})
            found += [_picture(one) for one in page["results"]]
            cursor = page["cursor"]
        return found

    def original(self, id: UUID) -> bytes:
        """The content of a picture's file."""
        return self._send("GET", f"/pictures/{id}/original", params={"collection": self.name}).content

    def close(self) -> None:
        """Let go of the server; safe to call twice."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ServedCollection {self.name!r} at {self._url}>"

    def _named(self, collection: str) -> str:
        """The one that is asked: `all` stands for all of them."""
        try:
            names = [one["name"] for one in self._send("GET", "/collections").json()]
        except (PictureGone, ValueError, LookupError, TypeError):
            raise StoreUnreachable(f"no `query serve` answers at {self._url}: is that its address?") from None
        if not collection and len(names) > 1:
            raise CollectionNotFound(
                f"several collections at {self._url}: choose {' | '.join(sorted(names))}, or {ALL} to ask all of them"
            )
        if not names:
            raise CollectionNotFound(f"no collection at {self._url} yet: `ingest run FOLDER` makes one there")
        if collection and collection not in (*names, ALL):
            raise CollectionNotFound(f"no collection {collection!r} at {self._url}: there are {', '.join(names)}")
        return collection or names[0]

    def _ids(self, pictures: Pictures) -> list[str]:
        many = pictures if isinstance(pictures, list | tuple) else [pictures]
        return [self._id(query_picture(one)) for one in many]

    def _id(self, picture: object) -> str:
        """Of the collection's, or of the file once it was sent."""
        if isinstance(picture, UUID):
            return str(picture)
        assert isinstance(picture, Source)  # noqa: S101 - `query_picture` gives nothing else
        if picture.is_url:
            body: dict[str, Any] = {"json": {"url": picture.text}}
        else:
            body = {"content": picture.read(), "headers": {"Content-Type": "application/octet-stream"}}
        return str(self._send("POST", "/uploads", params={"collection": self.name}, **body).json()["id"])

    def _answer(self, kind: str, asked: dict[str, Any]) -> Answer:
        """All that is wanted, as many requests as that takes."""
        wanted, told, results = asked["limit"], self._get(kind, {**asked, "limit": min(asked["limit"], MOST)}), []
        while True:
            results += told["results"]
            if told["cursor"] is None or len(results) >= wanted or not told["results"]:
                break
            limit = min(wanted - len(results), MOST)
            told = self._get(kind, {**asked, "offset": 0, "cursor": told["cursor"], "limit": limit})
        return Answer(
            collection=told["collection"],
            hits=tuple(map(_hit, results)),
            has_more=told["next"] is not None,
            total=told["total"],
            standing=told["standing"],
            ends=told["ends"],
            messages=tuple(filter(None, [told["note"]])),
        )

    def _get(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._send("GET", f"/{path}", params={"collection": self.name, **asked}).json()
        return found

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        import httpx

        try:
            answer = self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            raise StoreUnreachable(
                f"no `query serve` answers at {self._url}: {error or type(error).__name__}"
            ) from error
        if answer.is_success:
            return answer
        try:
            told = answer.json()
            kind, sentence = ERRORS.get(told["code"], StoreUnreachable), str(told["detail"])
            if told["code"] == "token-required" and self._has_token:
                sentence = f"the token is wrong: {self._url} asks for another"
        except (ValueError, LookupError, TypeError):
            kind, sentence = (
                StoreUnreachable,
                f"no `query serve` answers at {self._url}: what is there answers {answer.status_code}",
            )
        raise kind(sentence)


def _filtered(
    limit: int,
    offset: int,
    labels: str | Sequence[str],
    under: str,
    after: str,
    before: str,
    camera: str,
    near: str,
    min_score: MinScore | None,
) -> dict[str, Any]:
    asked: dict[str, Any] = {"limit": limit, "offset": offset, "label": _texts(labels), "under": under}
    asked |= {"after": after, "before": before, "camera": camera, "near": near}
    return asked if min_score is None else {**asked, "min_score": str(min_score)}


def _texts(texts: str | Sequence[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)


def _picture(record: dict[str, Any]) -> Picture:
    """What the server tells of it: not when its file was written, nor its vector's length."""
    place = record["place"]
    photo = PhotoMetadata(
        taken=record["taken"] or "",
        taken_from=record["taken_from"] or "file",
        camera=record["camera"] or "",
        place=(place[0], place[1]) if place else None,
        keywords=tuple(record["keywords"]),
    )
    return Picture(
        path=record["path"],
        sha256=record["sha256"],
        width=record["width"],
        height=record["height"],
        size=record["bytes"],
        mtime_ns=0,
        visual_norm=0.0,
        damaged=record["damaged"],
        frame=record["frame"],
        photo=photo,
    )


def _hit(record: dict[str, Any]) -> PictureHit:
    return PictureHit(
        _picture(record),
        record["score"],
        root="",
        stands_out=record["stands_out"],
        matched=record["matched"],
        collection=record["collection"],
    )


def _group(record: dict[str, Any]) -> Group:
    members = [Member(_picture(one["picture"]), one["score"], Kind(one["kind"]), root="") for one in record["members"]]
    return Group(tuple(members))
