"""What the questions mean: similar, text, tags, words."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ingest.collection import features_of, need_tags, read_collection_projection
from ingest.records import CollectionMetadata, Picture, stable_id
from ingest.stores import SCROLL_PAGE, SEMANTIC, VISUAL, WORD, Collection, Filter, Store, choose_collection
from model.encoders import Encoder
from model.errors import PictureError, PictureGone, UsageError
from model.pair import choose_pair
from model.pictures import DEFAULT_MAX_MEGAPIXELS, Pixels, open_framed
from model.projections import TAG_DEPTH, Projection, Tag, TagEvidence, known_vectors, label_vectors, ranked, unit
from model.system.names import shown
from model.system.paths import expanded, real_path
from model.words import NearWord, TextSpace, open_words
from query.asking.cutoff import SAMPLE_LASTS, Cutoff, Sample, picture_floor, word_floor
from query.asking.expression import Direction, Term, direction
from query.asking.query_vectors import ImageQuery, QueryVector
from query.asking.ranking import Ranking
from query.asking.source import Source

Vector = NDArray[np.float32]

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


def collection_words(store: Store, name: str) -> TextSpace:
    """The word vectors of a collection; where there is no collection yet, those a new one would get offline."""
    if not name and not store.collections():
        return open_words(choose_pair(offline=True).words)
    there = store.collections()
    if not name and len({(metadata.words, metadata.words_sha256) for metadata in there.values()}) == 1:
        return store.words(next(iter(there.values())))
    return store.words(store.metadata(choose_collection(store, name)))


class Search:
    """Questions to one open collection."""

    def __init__(self, store: Store, collection: Collection, *, max_megapixels: int = DEFAULT_MAX_MEGAPIXELS) -> None:
        self._samples: dict[str, Sample] = {}
        self._store = store
        self._collection = collection
        self._max_megapixels = max_megapixels

    @property
    def name(self) -> str:
        """The collection's."""
        return self._collection.name

    @property
    def metadata(self) -> CollectionMetadata:
        return self._collection.metadata

    @cached_property
    def words(self) -> TextSpace:
        return self._store.words(self.metadata)

    @cached_property
    def encoder(self) -> Encoder:
        return self._store.encoder(self.metadata)

    @cached_property
    def projection(self) -> Projection:
        return read_collection_projection(self._collection)

    def filter(self, labels: Sequence[str] = (), under: str = "") -> Filter:
        """A filter as the user writes it: ``under`` is a folder relative to the dataset, or an absolute path in it.

        Raises:
            UsageError: an absolute folder outside the dataset.
        """
        folder = expanded(Path(under))
        if folder.parts[:1] == ("..",):
            folder = Path(os.path.abspath(folder))
        if folder.is_absolute():
            if not folder.is_relative_to(self.metadata.root):
                raise UsageError(f"{under} is not in the dataset {self.metadata.root}")
            folder = folder.relative_to(self.metadata.root)
        inside = shown(os.path.normpath(folder).replace(os.sep, "/")) if under else ""
        return Filter(labels=tuple(map(shown, labels)), under="" if inside == "." else inside)

    def why_nothing(self, filter: Filter) -> str:
        """What to tell when no picture was found: perhaps the filter leaves none."""
        labels = self._collection.labels()
        if filter.labels and not labels.keys() & set(filter.labels):
            return f"no picture found: no label {' or '.join(filter.labels)}; {_some_of(labels, filter.labels)}"
        if filter.under and not self._collection.count(Filter(under=filter.under)):
            return f"no picture found: none in the collection lies under {filter.under}"
        return "no picture found"

    def ask_about(self, source: Source) -> ImageQuery:
        """The vectors of a picture: the stored ones where it is indexed and has not changed since.

        Raises:
            UsageError, PictureError: it cannot be read.
        """
        indexed = self._indexed(source.path) if source.path else None
        if indexed:
            return indexed
        own_id = self._id_of(source.path) if source.path else None
        try:
            framing = self.encoder.spec.framing
            framed = open_framed(source.read(), framing, name=source.text, max_megapixels=self._max_megapixels)
        except PictureError as error:
            message = str(error)
            raise PictureError(message if source.text in message else f"{source.text}: {message}") from error
        return self.ask_with(self.features(framed.pixels), own_id)

    def features(self, pixels: Pixels) -> Vector:
        """What the collection's encoder sees in a framed picture: (width,) float32, of any length."""
        features: Vector = self.encoder.encode(pixels[None])[0]
        return features

    def ask_with(self, features: Vector, id: UUID | None = None) -> ImageQuery:
        """A picture that is not stored, by its `features`."""
        return ImageQuery(features, self.projection.project(features[None])[0], id, stored=False)

    def ask_stored(self, ids: Sequence[UUID]) -> list[ImageQuery]:
        """Pictures of the collection, in the order asked for.

        Raises:
            PictureGone: one is not, or no longer, in the collection.
        """
        points = self._collection.retrieve(list(ids), [VISUAL, SEMANTIC])
        if missing := [str(id) for id in ids if id not in points]:
            raise PictureGone(f"no picture {missing[0]} in the collection: it may have been removed since")
        return [ImageQuery(features_of(points[id]), points[id].vectors[SEMANTIC], id, stored=True) for id in ids]

    def picture(self, id: UUID) -> Picture | None:
        """The picture with that id, if the collection has it."""
        point = self._collection.retrieve([id]).get(id)
        return Picture.from_payload(point.payload) if point else None

    def browse(self, limit: int, offset: int = 0, filter: Filter = Filter()) -> list[Picture]:
        """Pictures in the order of ids, which is as good as shuffled, whatever is asked."""
        page = min(SCROLL_PAGE, offset + limit)
        points = itertools.chain.from_iterable(self._collection.scroll(page=page, filter=filter))
        return [Picture.from_payload(point.payload) for point in itertools.islice(points, offset, offset + limit)]

    def count(self, filter: Filter = Filter()) -> int:
        """How many pictures the filter lets through."""
        return self._collection.count(filter)

    def labels(self) -> dict[str, int]:
        """Every label with its number of pictures, the most frequent first."""
        return self._collection.labels()

    def folders(self) -> dict[str, int]:
        """Every folder of the dataset with the number of pictures below it."""
        return self._collection.folders()

    def _id_of(self, path: Path) -> UUID | None:
        """The id that a file has or would have in this collection; none for files elsewhere."""
        root = Path(self.metadata.root)
        for place in (path, real_path(path)):
            if place.is_relative_to(root):
                return stable_id(place.relative_to(root).as_posix())
        return None

    def _indexed(self, path: Path) -> ImageQuery | None:
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
        return ImageQuery(features_of(point), point.vectors[SEMANTIC], point.id, stored=True)

    def similar(
        self,
        asked: ImageQuery,
        *,
        terms: Sequence[Term] = (),
        space: Space | None = None,
        limit: int,
        filter: Filter = Filter(),
        min_score: float = -math.inf,
        cutoff: Cutoff | None = None,
    ) -> list[Found]:
        """Pictures like a picture, itself left out; with ``terms``, moved towards or away from words.

        ``space`` is visual by default, and semantic with terms: words have no visual vector. ``cutoff``, of
        the same question, leaves out what does not stand out.

        Raises:
            UsageError: terms with the visual vector alone.
            WordsError: a term that is not known.
        """
        without = Filter(filter.labels, filter.under, asked.ids)
        return self._rank(self.aims(asked, terms, space), limit, without, min_score, cutoff)

    def aims(self, asked: ImageQuery, terms: Sequence[Term] = (), space: Space | None = None) -> dict[str, QueryVector]:
        """What `similar` looks for, by the vector it compares: one, or two that are fused.

        Raises:
            UsageError, WordsError: as `similar`.
        """
        space = space or (Space.SEMANTIC if terms else Space.VISUAL)
        if terms and space is Space.VISUAL:
            raise UsageError("words can only be added to the semantic vector: leave out --vector visual")
        semantic = self.towards(terms, asked.semantic_aim).aim if terms else asked.semantic_aim
        both = {VISUAL: asked.visual_aim.measured(), SEMANTIC: semantic.measured()}
        return both if space is Space.BOTH else {str(space): both[space]}

    def cutoff(self, aims: Mapping[str, QueryVector], without: Sequence[UUID] = ()) -> Cutoff:
        """Where the answers to a question end, see `query.asking.cutoff`.

        Args:
            aims: by the name of the vector: of `aims`, or ``{SEMANTIC: direction.aim}`` for words.
            without: the pictures asked about, as far as they are in the collection.
        """
        floors = {using: picture_floor(self._sample(using), aim.wanted, without) for using, aim in aims.items()}
        if SEMANTIC in aims:
            floors[SEMANTIC] = max(floors[SEMANTIC], word_floor(self._sample(WORD), aims[SEMANTIC].wanted))
        return Cutoff(floors, any(aim.taken is not None for aim in aims.values()))

    def _sample(self, using: str) -> Sample:
        kept = self._samples.get(using)
        if using == WORD:
            if kept is None:
                with self._vocabulary() as vocabulary:
                    kept = self._samples[using] = Sample.of(vocabulary, using)
        elif kept is None or abs(self._collection.count() - kept.total) > SAMPLE_LASTS * kept.total:
            kept = self._samples[using] = Sample.of(self._collection, using)
        return kept

    def text(
        self,
        asked: Direction,
        *,
        limit: int,
        filter: Filter = Filter(),
        min_score: float = -math.inf,
        cutoff: Cutoff | None = None,
    ) -> list[Found]:
        """Pictures for words. ``cutoff``, of the same words, leaves out what does not stand out."""
        return self._rank({SEMANTIC: asked.aim}, limit, filter, min_score, cutoff)

    def _rank(
        self, aims: Mapping[str, QueryVector], limit: int, filter: Filter, min_score: float, cutoff: Cutoff | None
    ) -> list[Found]:
        hits = Ranking(self._collection, filter, cutoff).best(aims, limit, min_score)
        return [Found(Picture.from_payload(hit.payload), hit.score, self.metadata.root) for hit in hits]

    def tags(
        self, asked: ImageQuery, *, limit: int, min_score: float = -math.inf, labels: Sequence[str] | None = None
    ) -> list[Tag]:
        """Words for a picture: of the tag vocabulary and what was trained, as the projection reads them off it; or
        of ``labels``, ranked as a text query for each would rank this picture.

        Raises:
            WordsError: a label without a vector.
        """
        if labels is None:
            reading = self._reading(asked)
            near = self._near_tags(reading.vector, max(limit, TAG_DEPTH))
            tags = ranked(reading, {**known_vectors(reading.named, self.words), **self.trained}, near, self.trained)
        else:
            chosen = label_vectors(labels, self.words)
            learnt = self._learnt(chosen)
            directions = {word: learnt.get(word, vector) for word, vector in chosen.items()}
            tags = ranked(_placed(asked), directions, [], self.trained)
        return [tag for tag in tags if tag.score >= min_score][:limit]

    def _reading(self, asked: ImageQuery) -> TagEvidence:
        return _placed(asked) if asked.is_sum else self.projection.tag_evidence(asked.visual)

    def own_labels(self) -> list[str]:
        """The collection's labels that have a vector."""
        return [label for label in self._collection.labels() if known_vectors([label], self.words)]

    @cached_property
    def trained(self) -> dict[str, Vector]:
        """The labels the projection was trained on, as words, with their vectors."""
        return label_vectors(self.metadata.trained, self.words)

    def towards(self, terms: Sequence[Term], start: QueryVector | None = None) -> Direction:
        """Where words lead: to where the pictures of a trained label are, for such a label.

        Raises:
            UsageError, WordsError: as `query.asking.expression.direction`.
        """
        phrases = label_vectors((term.text for term in terms), self.words)
        return direction(terms, self.words, start, learnt=self._learnt(phrases))

    def _learnt(self, phrases: Iterable[str]) -> Mapping[str, Vector]:
        """Where the pictures of trained labels are; the projection is read only if one is asked for."""
        return {} if self.trained.keys().isdisjoint(phrases) else self.projection.learnt

    def _near_tags(self, vector: Vector, limit: int) -> list[NearWord]:
        with self._vocabulary() as vocabulary:
            hits = vocabulary.search(WORD, vector, limit)
        return [NearWord(str(hit.payload["word"]), hit.score) for hit in hits]

    def _vocabulary(self) -> AbstractContextManager[Collection]:
        return self._store.asking(need_tags(self._store, self.metadata.words, self.metadata.words_sha256))


def _placed(asked: ImageQuery) -> TagEvidence:
    """Words by the place in word space alone."""
    return TagEvidence(unit(asked.semantic[None])[0], {})
