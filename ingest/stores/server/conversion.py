"""Conversion between the types of a Qdrant server and ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np

from ingest.records import CAMERA, KEYWORDS, PLACE, TAKEN_AT, TEXT
from ingest.stores import (
    BUILD_WIDTH,
    LINKS,
    OVERSAMPLED,
    VISUAL,
    Filter,
    Point,
    SparseVector,
    Vector,
    is_for_graph,
    search_width,
)
from ingest.stores.server.models import models
from ingest.stores.server.rest import Json


def vector_params(vectors: Mapping[str, int], on_disk_width: int) -> dict[str, models.VectorParams]:
    """No graph: every answer is that of a full comparison."""
    exact = models.HnswConfigDiff(m=0)
    cosine = models.Distance.COSINE
    return {
        name: models.VectorParams(size=width, distance=cosine, hnsw_config=exact, on_disk=width >= on_disk_width)
        for name, width in vectors.items()
    }


def graph_params(vectors: Mapping[str, int], quantize: bool | None) -> dict[str, models.VectorParamsDiff]:
    """A graph of each vector, which the server builds in the background and keeps on disk; int8 codes of the visual
    one, or none, where ``quantize`` says."""
    graph = models.HnswConfigDiff(m=LINKS, ef_construct=BUILD_WIDTH, on_disk=True)
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


def search_params(limit: int, width: int, *, exact: bool, strict: Json | None = None) -> Json:
    """How a question is answered, which is always said.

    Args:
        width: as of the collection's metadata.
        strict: the collection's strict mode, whose limits of a search by the graph are kept.
    """
    if not is_for_graph(limit, exact=exact):
        return {"exact": True, "quantization": {"ignore": True}}
    limits = strict or {}
    codes = {"rescore": True, "oversampling": min(OVERSAMPLED, limits.get("search_max_oversampling") or OVERSAMPLED)}
    width = search_width(limit, width)
    return {"exact": False, "hnsw_ef": min(width, limits.get("search_max_hnsw_ef") or width), "quantization": codes}


def strict_mode(info: Any) -> Json:
    """The limits of a collection's strict mode; empty where there is none."""
    limits = info.config.strict_mode_config
    if not limits or not limits.enabled:
        return {}
    return limits if isinstance(limits, dict) else dict(limits)


def to_filter(filter: Filter) -> Json | None:
    must: list[Json] = []
    if filter.labels:
        must.append({"should": [_match(field, any=list(filter.labels)) for field in ("label", KEYWORDS)]})
    if filter.under:
        must.append(_match("folders", value=filter.under))
    for field, asked in (("path", filter.named), (TEXT, filter.written)):
        must += [{"should": [_match(field, text=text) for text in spellings]} for spellings in asked]
    must += _photo_conditions(filter)
    must_not = [{"has_id": [str(id) for id in filter.without]}] if filter.without else []
    sides = {"must": must, "must_not": must_not}
    return {side: conditions for side, conditions in sides.items() if conditions} or None


def _match(field: str, **wanted: object) -> Json:
    return {"key": field, "match": wanted}


def _photo_conditions(filter: Filter) -> list[Json]:
    must: list[Json] = []
    if (filter.after, filter.before) != (None, None):
        must.append({"key": TAKEN_AT, "range": {"gte": filter.after, "lt": filter.before}})
    if filter.camera:
        must.append(_match(CAMERA, text=filter.camera))
    if filter.near:
        centre = {"lat": filter.near.latitude, "lon": filter.near.longitude}
        must.append({"key": PLACE, "geo_radius": {"center": centre, "radius": 1000 * filter.near.kilometres}})
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


def to_struct(point: Point) -> Json:
    sparse = {name: to_sparse(vector) for name, vector in point.sparse.items()}
    return {"id": str(point.id), "vector": {**point.vectors, **sparse}, "payload": dict(point.payload)}


def to_point(record: Any) -> Point:
    """Of a record as JSON, over gRPC, or of qdrant-client."""
    dense: dict[str, Vector] = {}
    sparse: dict[str, SparseVector] = {}
    for name, vector in (record.vector or {}).items():
        if isinstance(vector, list | np.ndarray):
            dense[name] = np.asarray(vector, np.float32)
        else:
            sparse[name] = _from_sparse(vector)
    return Point(UUID(str(record.id)), dense, to_payload(record), sparse)


def to_payload(record: Any) -> dict[str, Any]:
    """Of a point, as it was written."""
    payload: dict[str, Any] = _plain(record.payload or {})
    return payload


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list) else value


def to_sparse(vector: SparseVector) -> Json:
    return {"indices": vector.indices, "values": vector.values}


def _from_sparse(vector: Any) -> SparseVector:
    """A server may give the indices in any order."""
    values = vector["values"] if isinstance(vector, dict) else vector.values
    order = np.argsort(vector.indices)
    return SparseVector(np.asarray(vector.indices, np.uint32)[order], np.asarray(values, np.float32)[order])


def sparse_params(names: Sequence[str]) -> dict[str, models.SparseVectorParams]:
    return {name: models.SparseVectorParams() for name in names}
