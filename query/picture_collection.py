"""Collections for Python programs: what `query.open_collection` opens.

It prints nothing: what the commands print as remarks and progress are events (`model.system.events`). It must not know
the command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from ingest.errors import RightMissing, StoreError
from ingest.stores import PooledStore, Store, choose_collection, open_store
from model.errors import UsageError
from model.pictures import DEFAULT_MAX_MEGAPIXELS
from model.system.paths import expanded
from query.asking import (
    ANY_SCORE,
    DEFAULT_THRESHOLD,
    Answer,
    CollectionContext,
    Group,
    MinScore,
    PictureLike,
    QueryPicture,
    Question,
    SharedContexts,
    Source,
    Space,
    TagsAnswer,
    TagsQuestion,
    Taken,
    Term,
    ask,
    ask_duplicates,
    ask_tags,
    join_collections,
    picture_filter,
    query_picture,
)
from query.served_collection import ALL, ServedCollection, is_served

Pictures: TypeAlias = "PictureLike | Sequence[PictureLike]"


def open_collection(
    store: str | os.PathLike[str] | None = None,
    collection: str = "",
    *,
    api_key: str = "",
    token: str = "",
    max_megapixels: int = DEFAULT_MAX_MEGAPIXELS,
) -> PictureCollection | ServedCollection:
    """Open a collection of pictures, to ask it. Close it, or use it in a ``with``.

    Args:
        store: folder of the embedded store, URL of a Qdrant server or of a running `query serve`, or folder of a
            snapshot; by default the store that the commands use.
        collection: its name; by default the only one there, or that of the current folder. Of a `query serve` also
            ``"all"``, which `text` and `similar` ask together.
        api_key: of a Qdrant server.
        token: of a `query serve`.
        max_megapixels: refuse larger query pictures; 0 lifts the limit.

    Raises:
        CollectionNotFound: there is no such collection, or several and nothing tells which.
        StoreError: the store cannot be read, or the server does not answer.
    """
    place = "" if store is None else os.fspath(store)
    if place.lower().startswith(("http://", "https://")) and (token or (not api_key and is_served(place))):
        return ServedCollection(place, collection, token)
    opened = _open_store(place, api_key)
    try:
        if collection == ALL and ALL not in (there := opened.collections()):
            raise UsageError(
                f"a store is opened for one collection, a `query serve` for all of them: choose {_listed(there)}"
            )
        return PictureCollection(opened, choose_collection(opened, collection), max_megapixels)
    except BaseException:
        opened.close()
        raise


def _listed(names: Iterable[str]) -> str:
    return " | ".join(sorted(names)) or "one, once `ingest run FOLDER` has made it"


def _open_store(place: str, api_key: str) -> Store:
    if not place:
        return open_store()
    if place.lower().startswith(("http://", "https://")):
        try:
            return open_store(url=place, api_key=api_key)
        except StoreError as error:
            if api_key or isinstance(error, RightMissing):  # then it is a Qdrant server
                raise
            raise type(error)(f"no `query serve` answers at {place}, and {error}") from error
    from ingest.stores.snapshot import MANIFEST_FILE

    folder = expanded(Path(place))
    is_snapshot = (folder / MANIFEST_FILE).is_file()
    return open_store(snapshot=folder) if is_snapshot else open_store(folder)


class PictureCollection:
    """A collection of pictures to ask. Threads may share it, and an `ingest run` may go on beside it.

    Pictures are named by a path, relative to the current folder or to the dataset, a URL, an id, the bytes of a
    picture file or a Pillow image. All methods raise `model.errors.WordsightError` where they cannot answer: its
    subclasses say why. Made by `open_collection`.
    """

    def __init__(self, store: Store, name: str, max_megapixels: int = DEFAULT_MAX_MEGAPIXELS) -> None:
        self.name = name
        self._store = PooledStore(store)
        self._contexts = SharedContexts(self._store, max_megapixels=max_megapixels)
        self._is_closed = False

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
        """Pictures for words, the best first.

        Args:
            words: ``"ocean"``, ``"a red fire truck"``, ``"beach + sunset - people"``, ``"2:dog + ball"``.
            offset: how many to leave out at the beginning.
            labels: only pictures with one of these labels.
            under: only pictures below this folder of the dataset.
            after, before: only pictures taken from the beginning of this day on, or before it: ``"2019-07"``.
            camera: only by a camera with these words in its name.
            near: only so near to a place: ``"LATITUDE,LONGITUDE,KILOMETRES"``.
            min_score: leave out lower scores; ``"auto"``: what stands out comes first, then the nearest.
            names: look in the names of folders and files, too.
            ocr: look in text that was read in pictures, too.

        Returns:
            The hits; ``messages`` says what was passed over, ``ends`` where what stands out ends, ``why_nothing`` why
            there are none.

        Raises:
            UsageError: words that ask for nothing, or a folder outside the dataset.
            WordsError: no word is known; it names the nearest spellings.
        """
        asked = Question.in_words(words)
        question = replace(asked, limit=limit, offset=offset, min_score=_least(min_score), names=names, written=ocr)
        return self._ask(question, labels, under, Taken(after, before, camera, near))

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
        """Pictures like a picture, or like several added up; those asked about are left out.

        Args:
            picture: one, or a list of them.
            plus, minus: words to move towards, and away from.
            unlike: pictures to move away from.
            vector: compare by ``"visual"``, ``"semantic"`` or ``"both"``; by default the visual vector, and the
                semantic one where words are added.
            limit, offset, labels, under, after, before, camera, near, min_score: as for `text`.

        Raises:
            UsageError: no such file or URL, or a question that contradicts itself.
            PictureError: a picture that cannot be decoded, or, PictureGone, an id that is not there.
            WordsError: words that are not known.
        """
        words = [*(Term(text) for text in _texts(plus)), *(Term(text, -1.0) for text in _texts(minus))]
        question = Question(
            tuple(words),
            _pictures(picture),
            _pictures(unlike),
            space=_space(vector),
            limit=limit,
            offset=offset,
            min_score=_least(min_score),
        )
        return self._ask(question, labels, under, Taken(after, before, camera, near))

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
        """Words for a picture, or for several added up, the best first.

        Args:
            labels: choose among these words only.
            own_labels: choose among the collection's own labels only.
            vocabulary: choose among the words of this file only, one a line.

        Raises:
            UsageError, PictureError: as for `similar`; or more than one choice of words.
            WordsError: a label without a known word.
        """
        question = TagsQuestion(
            _pictures(picture),
            limit,
            ANY_SCORE if min_score is None else min_score,
            None if labels is None else _texts(labels),
            own_labels,
            None if vocabulary is None else Path(vocabulary),
        )
        with self._asking() as context:
            return ask_tags(context, question)

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
        """Groups of pictures that are one picture, in each the best first; nothing is changed.

        Every file is looked at: the first of a group is there and whole, and no other is a link to it, another name of
        it, or changed.

        Args:
            threshold: cosine with the first of the group from which pictures are alike, above 0 and up to 1.
            alike: also those that are alike and not the same.
            prefer: which is first: ``"oldest"``, ``"newest"`` or ``"largest"`` of the files, or those below a folder.
            labels, under: only pictures with one of these labels, or below this folder; the first may be another.
            limit: so many groups at most.
            others: collections of the same store to compare with too; paths then begin at the folder that holds all.

        Raises:
            UsageError: another threshold, or a folder that is not in the dataset; or another encoder's collection.
        """
        with self._asking() as context, ExitStack() as opened:
            names = sorted(set(_texts(others)) - {self.name})
            more = [opened.enter_context(self._store.asking(name)) for name in names]
            return ask_duplicates(
                join_collections([context.collection, *more]),
                threshold,
                alike=alike,
                prefer=prefer,
                labels=labels,
                under=under,
                limit=limit,
            )

    def close(self) -> None:
        """Let go of the collection; safe to call twice."""
        self._is_closed = True
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<PictureCollection {self.name!r} in {self._store.where}>"

    def _ask(self, question: Question, labels: str | Sequence[str], under: str, taken: Taken) -> Answer:
        with self._asking() as context:
            chosen = picture_filter(context.metadata.root, _texts(labels), under, taken)
            return ask(context, replace(question, filter=chosen))

    @contextmanager
    def _asking(self) -> Iterator[CollectionContext]:
        if self._is_closed:
            raise UsageError(f"collection {self.name!r} is closed: open it again")
        with self._contexts.asking(self.name) as context:
            yield context


def _texts(texts: str | Sequence[str]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _pictures(pictures: Pictures) -> tuple[QueryPicture, ...]:
    named = tuple(query_picture(one) for one in (pictures if isinstance(pictures, list | tuple) else [pictures]))
    for picture in named:
        if isinstance(picture, Source):
            picture.read_ahead()
    return named


def _least(min_score: MinScore | None) -> MinScore:
    return ANY_SCORE if min_score is None else min_score


def _space(vector: Space | str | None) -> Space | None:
    try:
        return None if vector is None else Space(vector)
    except ValueError:
        raise UsageError(f"no vector {vector!r}: there are {', '.join(Space)}") from None
