"""Conversion between the types of a Qdrant server and ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from qdrant_client import models

from ingest.records import CAMERA, KEYWORDS, PLACE, TAKEN_AT, TEXT
from ingest.stores import (
    BUILD_WIDTH,
    LINKS,
    OVERSAMPLED,
    VISUAL,
    Filter,
    Point,
    SparseVector,
    is_for_graph,
    search_width,
)


def vector_params(vectors: Mapping[str, int], on_disk_width: int) -> dict[str, models.VectorParams]:
    """No graph: every answer is that of a full comparison."""
    exact = models.HnswConfigDiff(m=0)
    cosine = models.Distance.COSINE
    return {
        name: models.VectorParams(size=width, distance=cosine, hnsw_config=exact, on_disk=width >= on_disk_width)
        for name, width in vectors.items()
    }


def graph_params(vectors: Mapping[str, int], quantize: bool | None) -> dict[str, models.VectorParamsDiff]:
    """A graph of each vector, which the server builds in the background; int8 codes of the visual one, or none, where
    ``quantize`` says."""
    graph = models.HnswConfigDiff(m=LINKS, ef_construct=BUILD_WIDTH)
    params = {name: models.VectorParamsDiff(hnsw_config=graph) for name in vectors}
    if quantize is not None:
        int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        params[VISUAL].quantization_config = (
            models.ScalarQuantization(scalar=int8) if quantize else models.Disabled.DISABLED
        )
    return params


def has_graph(info: models.CollectionInfo) -> bool:
    vectors = info.config.params.vectors
    named = vectors.values() if isinstance(vectors, dict) else ()
    return any(params.hnsw_config is not None and params.hnsw_config.m for params in named)


def is_quantized(info: models.CollectionInfo) -> bool:
    vectors = info.config.params.vectors
    visual = vectors.get(VISUAL) if isinstance(vectors, dict) else None
    return visual is not None and visual.quantization_config is not None


def search_params(limit: int, width: int, *, exact: bool) -> models.SearchParams:
    """``width``: as of a collection's metadata. Without a graph every search is exact."""
    if not is_for_graph(limit, exact=exact):
        return models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))
    codes = models.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLED)
    return models.SearchParams(hnsw_ef=search_width(limit, width), quantization=codes)


def to_filter(filter: Filter) -> models.Filter | None:
    must: list[Any] = []
    if filter.labels:
        wanted = models.MatchAny(any=list(filter.labels))
        either: list[Any] = [models.FieldCondition(key=field, match=wanted) for field in ("label", KEYWORDS)]
        must.append(models.Filter(should=either))
    if filter.under:
        must.append(models.FieldCondition(key="folders", match=models.MatchValue(value=filter.under)))
    for field, asked in (("path", filter.named), (TEXT, filter.written)):
        for spellings in asked:
            texts: list[Any] = [
                models.FieldCondition(key=field, match=models.MatchText(text=text)) for text in spellings
            ]
            must.append(models.Filter(should=texts))
    must += _photo_conditions(filter)
    ids: list[Any] = [str(id) for id in filter.without]
    must_not: list[Any] = [models.HasIdCondition(has_id=ids)] if ids else []
    return models.Filter(must=must, must_not=must_not) if must or must_not else None


def _photo_conditions(filter: Filter) -> list[Any]:
    must: list[Any] = []
    if (filter.after, filter.before) != (None, None):
        must.append(models.FieldCondition(key=TAKEN_AT, range=models.Range(gte=filter.after, lt=filter.before)))
    if filter.camera:
        must.append(models.FieldCondition(key=CAMERA, match=models.MatchText(text=filter.camera)))
    if filter.near:
        centre = models.GeoPoint(lat=filter.near.latitude, lon=filter.near.longitude)
        radius = models.GeoRadius(center=centre, radius=1000 * filter.near.kilometres)
        must.append(models.FieldCondition(key=PLACE, geo_radius=radius))
    return must


def payload_indexes(kind: str) -> dict[str, models.PayloadSchemaType | models.TextIndexParams]:
    """Of a collection of that kind, by field; of texts, the words, each as it is."""
    keyword, word = models.PayloadSchemaType.KEYWORD, models.TokenizerType.WORD
    words = models.TextIndexParams(type=models.TextIndexType.TEXT, tokenizer=word, lowercase=True, min_token_len=1)
    indexes: dict[str, models.PayloadSchemaType | models.TextIndexParams] = {
        "label": keyword,
        "folders": keyword,
        "path": words,
    }
    if kind == "pictures":
        indexes |= {KEYWORDS: keyword, TEXT: words}
        indexes |= {TAKEN_AT: models.PayloadSchemaType.INTEGER, CAMERA: words, PLACE: models.PayloadSchemaType.GEO}
    return indexes


def to_struct(point: Point) -> models.PointStruct:
    vectors: Any = {name: vector.tolist() for name, vector in point.vectors.items()}
    vectors.update((name, to_sparse(vector)) for name, vector in point.sparse.items())
    return models.PointStruct(id=str(point.id), vector=vectors, payload=dict(point.payload))


def to_point(record: models.Record) -> Point:
    named = record.vector if isinstance(record.vector, dict) else {}
    dense = {name: np.asarray(v, np.float32) for name, v in named.items() if not isinstance(v, models.SparseVector)}
    sparse = {name: _from_sparse(v) for name, v in named.items() if isinstance(v, models.SparseVector)}
    return Point(UUID(str(record.id)), dense, record.payload or {}, sparse)


def to_sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())


def _from_sparse(vector: models.SparseVector) -> SparseVector:
    """A server may give the indices in any order."""
    order = np.argsort(vector.indices)
    return SparseVector(np.asarray(vector.indices, np.uint32)[order], np.asarray(vector.values, np.float32)[order])


def sparse_params(names: Sequence[str]) -> dict[str, models.SparseVectorParams]:
    return {name: models.SparseVectorParams() for name in names}
