"""What the questions mean: similar, text, tags, words."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.connect import choose_collection
from ingest.record import Picture, stable_id
from ingest.semantics import features_of, read_collection_projection
from ingest.store import SEMANTIC, VISUAL, WORD, Collection, Facts, Filter, Hit, Store
from ingest.tags import need_tags
from model.encoder import Encoder
from model.errors import PictureError, UsageError, WordsError
from model.glove import open_words
from model.pair import choose_pair
from model.picture import DEFAULT_MAX_MEGAPIXELS, frame, open_picture
from model.words import NearWord, Words
from query.expression import Direction, Term, direction
from query.source import Source

Vector = NDArray[np.float32]

RRF_K = 60
"""Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion": the constant of the paper."""

RRF_DEPTH = 100
"""At least so many answers of each kind are fused; what is beyond weighs less than 1/160."""


SHOWN_LABELS = 12


def _some_of(labels: Iterable[str], like: Sequence[str]) -> str:
    """Labels there are, those spelled like what was asked for first, and how many more."""
    lower = {label.lower(): label for label in labels}
    near = [lower[match] for wanted in like for match in get_close_matches(wanted.lower(), lower)]
    ordered = list(dict.fromkeys([*near, *lower.values()]))
    more = f" and {len(ordered) - SHOWN_LABELS} more" if len(ordered) > SHOWN_LABELS else ""
    return f"labels there are: {', '.join(ordered[:SHOWN_LABELS]) or 'none'}{more}"


class Space(StrEnum):
    """By which vector pictures are compared."""

    VISUAL = VISUAL
    SEMANTIC = SEMANTIC
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Found:
    """A picture found. ``score``: cosine, or the sum of reciprocal ranks where two vectors are fused."""

    picture: Picture
    score: float
    root: str

    @property
    def file(self) -> str:
        """The file's absolute path."""
        return os.path.join(self.root, self.picture.path)


@dataclass(frozen=True, slots=True)
class Tag:
    """A word for a picture. ``trained``: the collection's projection was trained on it."""

    word: str
    score: float
    trained: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """The picture asked about, as vectors at unit length.

    ``id``: its point, where it is in the collection. ``stored``: whether no model had to look at it.
    """

    visual: Vector
    semantic: Vector
    id: UUID | None
    stored: bool


def collection_words(store: Store, name: str) -> Words:
    """The word vectors of a collection; where there is no collection yet, those a new one would get offline."""
    if not name and not store.collections():
        return open_words(choose_pair(offline=True).words)
    there = store.collections()
    if not name and len({(facts.words, facts.words_sha256) for facts in there.values()}) == 1:
        return store.words(next(iter(there.values())))
    return store.words(store.facts(choose_collection(store, name)))


class Search:
    """Questions to one open collection."""

    def __init__(self, store: Store, collection: Collection, *, max_megapixels: int = DEFAULT_MAX_MEGAPIXELS) -> None:
        self._store = store
        self._collection = collection
        self._max_megapixels = max_megapixels

    @property
    def facts(self) -> Facts:
        return self._collection.facts

    @cached_property
    def words(self) -> Words:
        return self._store.words(self.facts)

    @cached_property
    def encoder(self) -> Encoder:
        return self._store.encoder(self.facts)

    def filter(self, labels: Sequence[str] = (), under: str = "") -> Filter:
        """A filter as the user writes it: ``under`` is a folder relative to the dataset, or an absolute path in it.

        Raises:
            UsageError: an absolute folder outside the dataset.
        """
        folder = Path(under).expanduser()
        if folder.parts[:1] == ("..",):
            folder = Path(os.path.abspath(folder))
        if folder.is_absolute():
            if not folder.is_relative_to(self.facts.root):
                raise UsageError(f"{under} is not in the dataset {self.facts.root}")
            folder = folder.relative_to(self.facts.root)
        inside = os.path.normpath(folder).replace(os.sep, "/") if under else ""
        return Filter(labels=tuple(labels), under="" if inside == "." else inside)

    def why_nothing(self, filter: Filter) -> str:
        """What to tell when no picture was found: perhaps the filter leaves none."""
        labels = self._collection.labels()
        if filter.labels and not labels.keys() & set(filter.labels):
            return f"no picture found: no label {' or '.join(filter.labels)}; {_some_of(labels, filter.labels)}"
        if filter.under and not self._collection.count(Filter(under=filter.under)):
            return f"no picture found: none in the collection lies under {filter.under}"
        return "no picture found"

    def ask_about(self, source: Source) -> Asked:
        """The vectors of a picture: the stored ones where it is indexed and has not changed since.

        Raises:
            UsageError, PictureError: it cannot be read.
        """
        indexed = self._indexed(source.path) if source.path else None
        if indexed:
            return indexed
        own_id = self._id_of(source.path) if source.path else None
        try:
            image = open_picture(source.read(), name=source.text, max_megapixels=self._max_megapixels)
        except PictureError as error:
            message = str(error)
            raise PictureError(message if source.text in message else f"{source.text}: {message}") from error
        features = self.encoder.encode(frame(image, self.encoder.spec.framing)[None])
        semantic = read_collection_projection(self._collection).project(features)[0]
        return Asked(features[0], semantic, own_id, stored=False)

    def _id_of(self, path: Path) -> UUID | None:
        """The id that a file has or would have in this collection; none for files elsewhere."""
        root = Path(self.facts.root)
        for place in (path, path.resolve()):
            if place.is_relative_to(root):
                return stable_id(place.relative_to(root).as_posix())
        return None

    def _indexed(self, path: Path) -> Asked | None:
        id = self._id_of(path)
        if id is None and not path.exists():  # perhaps a path as answers show it, relative to the dataset
            id = stable_id(os.path.relpath(path).replace(os.sep, "/"))
        point = self._collection.retrieve([id], [VISUAL, SEMANTIC]).get(id) if id else None
        if point is None:
            return None
        picture = Picture.from_payload(point.payload)
        try:
            status = path.stat()
        except OSError:  # gone, or not on this machine: what is stored is all there is
            pass
        else:
            if (status.st_size, status.st_mtime_ns) != (picture.size, picture.mtime_ns):
                return None
        return Asked(features_of(point), point.vectors[SEMANTIC], point.id, stored=True)

    def similar(
        self,
        asked: Asked,
        *,
        terms: Sequence[Term] = (),
        space: Space | None = None,
        limit: int,
        filter: Filter = Filter(),
        min_score: float = -math.inf,
    ) -> list[Found]:
        """Pictures like a picture, itself left out; with ``terms``, moved towards or away from words.

        ``space`` is visual by default, and semantic with terms: words have no visual vector.

        Raises:
            UsageError: terms with the visual vector alone.
            WordsError: a term that is not known.
        """
        space = space or (Space.SEMANTIC if terms else Space.VISUAL)
        if terms and space is Space.VISUAL:
            raise UsageError("words can only be added to the semantic vector: leave out --vector visual")
        without = Filter(filter.labels, filter.under, (asked.id,) if asked.id else ())
        semantic = direction(terms, self.words, asked.semantic).vector if terms else asked.semantic
        if space is Space.BOTH:
            return self._fused(asked.visual, semantic, limit, without, min_score)
        vector = asked.visual if space is Space.VISUAL else semantic
        return self._found(self._collection.search(space, vector, limit, without, min_score=min_score))

    def _fused(self, visual: Vector, semantic: Vector, limit: int, filter: Filter, min_score: float) -> list[Found]:
        """Reciprocal rank fusion of what is near by either vector; ``min_score`` is of the fused score."""
        depth = max(RRF_DEPTH, 2 * limit)
        hits: dict[UUID, Hit] = {}
        scores: dict[UUID, float] = {}
        for using, vector in ((VISUAL, visual), (SEMANTIC, semantic)):
            for rank, hit in enumerate(self._collection.search(using, vector, depth, filter), start=1):
                hits[hit.id] = hit
                scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (RRF_K + rank)
        ranked = sorted(hits, key=lambda id: (-scores[id], id))
        fused = (Hit(id, round(scores[id], 6), hits[id].payload) for id in ranked)
        return self._found([hit for hit in fused if hit.score >= min_score][:limit])

    def text(
        self,
        asked: Direction,
        *,
        limit: int,
        filter: Filter = Filter(),
        min_score: float = -math.inf,
    ) -> list[Found]:
        """Pictures for words."""
        return self._found(self._collection.search(SEMANTIC, asked.vector, limit, filter, min_score=min_score))

    def _found(self, hits: Iterable[Hit]) -> list[Found]:
        return [Found(Picture.from_payload(hit.payload), hit.score, self.facts.root) for hit in hits]

    def tags(
        self, asked: Asked, *, limit: int, min_score: float = -math.inf, labels: Sequence[str] | None = None
    ) -> list[Tag]:
        """Words for a picture: of ``labels`` where given, else of the tag vocabulary and what was trained.

        Raises:
            WordsError: a label without a vector.
        """
        candidates = self._label_scores(self.facts.trained if labels is None else labels, asked.semantic)
        if labels is None:
            for near in self._near_tags(asked.semantic, limit):
                candidates.setdefault(near.word, near.score)
        trained = self._as_words(self.facts.trained)
        ranked = sorted(candidates.items(), key=lambda item: (-item[1], item[0]))
        tags = [Tag(word, round(score, 6), word in trained) for word, score in ranked]
        return [tag for tag in tags if tag.score >= min_score][:limit]

    def own_labels(self) -> list[str]:
        """The collection's labels that have a vector."""
        return [label for label in self._collection.labels() if self._as_words([label])]

    def _label_scores(self, labels: Iterable[str], semantic: Vector) -> dict[str, float]:
        phrases = [self.words.phrase(label) for label in labels]
        return {" ".join(phrase.known): float(phrase.vector @ semantic) for phrase in phrases}

    def _as_words(self, labels: Iterable[str]) -> set[str]:
        known: set[str] = set()
        for label in labels:
            try:
                known.add(" ".join(self.words.phrase(label).known))
            except WordsError:
                continue
        return known

    def _near_tags(self, semantic: Vector, limit: int) -> list[NearWord]:
        name = need_tags(self._store, self.facts.words, self.facts.words_sha256)
        with self._store.open(name) as vocabulary:
            hits = vocabulary.search(WORD, semantic, limit)
        return [NearWord(str(hit.payload["word"]), hit.score) for hit in hits]
