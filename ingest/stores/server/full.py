"""qdrant-client for one node: everything but a plain question, points in bulk over gRPC. Its errors are faults.

Points go to the wire as the bytes that they are in memory: qdrant-client would check each number of 4096, and make a
Python float of it. It must not know collections, only their names.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc as rpc  # type: ignore[import-untyped]
import httpx
import numpy as np
from qdrant_client import QdrantClient, grpc, models
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from ingest.stores import SparseVector, Vector
from ingest.stores.server.fault import Fault, Kind, answered, answered_by_code
from ingest.stores.server.rest import CERTIFICATES, UNCOMPRESSED, Attributes, Json, said_by, unanswered

CLIENT_ERRORS = (ApiException, QdrantException, rpc.RpcError, httpx.HTTPError)
"""What qdrant-client raises for an answer that is an error, or none."""

CONNECTIONS = 4
"""To one node: as many as messages in flight."""

ANSWERS_SECONDS = 3
"""For the first answer over gRPC, where the port may lead nowhere."""

T = TypeVar("T")


class FullClient:
    """One node.

    Args:
        grpc_port: 0 where gRPC is not wanted.
    """

    def __init__(self, url: str, api_key: str | None, grpc_port: int, seconds: float) -> None:
        self.url = url
        self._grpc_port = grpc_port
        with warnings.catch_warnings():
            # Usual on one's own machine; elsewhere the network is the user's to judge.
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)
            self._client = QdrantClient(
                url=url,
                api_key=api_key,
                timeout=int(seconds),
                port=urlsplit(url).port,
                grpc_port=grpc_port,
                pool_size=CONNECTIONS,
                grpc_options={**_roots(url), "grpc.use_local_subchannel_pool": 1},  # else they share one connection
                metadata=UNCOMPRESSED,
                check_compatibility=False,  # it warns from a thread of its own, and explains nothing
            )

    def call(self, name: str, *args: object, **options: object) -> Any:
        """A method of qdrant-client, over REST."""
        return self._heard(getattr(self._client, name), *args, **options)

    def answers_grpc(self) -> bool:
        """Whether a Qdrant server answers at the gRPC port."""
        if not self._grpc_port:
            return False
        try:
            self._points.Count(grpc.CountPoints(collection_name="-"), timeout=ANSWERS_SECONDS)
        except CLIENT_ERRORS as error:
            # of a collection that is not there, or to which the key has no right, a Qdrant server says so
            return fault_of(error, self.url).kind in (Kind.MISSING, Kind.KEY, Kind.RIGHT, Kind.RATE)
        return True

    @property
    def _points(self) -> grpc.PointsStub:
        return self._client.grpc_points

    def upsert(self, name: str, points: Sequence[Json], seconds: float) -> None:
        structs = [
            grpc.PointStruct(
                id=grpc.PointId(uuid=point["id"]),
                vectors=_vectors(point["vector"]),
                payload=RestToGrpc.convert_payload(point["payload"]),
            )
            for point in points
        ]
        request = grpc.UpsertPoints(collection_name=name, wait=True, points=structs)
        self._heard(self._points.Upsert, request, timeout=seconds)

    def update_vectors(self, name: str, points: Sequence[Json], seconds: float) -> None:
        changed = [
            grpc.PointVectors(id=grpc.PointId(uuid=point["id"]), vectors=_vectors(point["vector"])) for point in points
        ]
        request = grpc.UpdatePointVectors(collection_name=name, wait=True, points=changed)
        self._heard(self._points.UpdateVectors, request, timeout=seconds)

    def batch_update_points(self, name: str, operations: Sequence[Json], seconds: float) -> None:
        updates = [_payload_operation(operation["overwrite_payload"]) for operation in operations]
        request = grpc.UpdateBatchPoints(collection_name=name, wait=True, operations=updates)
        self._heard(self._points.UpdateBatch, request, timeout=seconds)

    def scroll(
        self,
        name: str,
        scroll_filter: Json | None,
        limit: int,
        offset: object,
        with_vectors: Sequence[str],
        seconds: float,
    ) -> tuple[list[Attributes], object]:
        request = grpc.ScrollPoints(
            collection_name=name,
            filter=RestToGrpc.convert_filter(models.Filter.model_validate(scroll_filter)) if scroll_filter else None,
            limit=limit,
            offset=grpc.PointId(uuid=str(offset)) if offset is not None else None,
            with_payload=grpc.WithPayloadSelector(enable=True),
            with_vectors=grpc.WithVectorsSelector(include=grpc.VectorsSelector(names=with_vectors)),
        )
        page = self._heard(self._points.Scroll, request, timeout=seconds)
        following = page.next_page_offset.uuid if page.HasField("next_page_offset") else None
        return [_record(point) for point in page.result], following

    def close(self) -> None:
        self._client.close()

    def _heard(self, call: Callable[..., T], *args: object, **options: object) -> T:
        try:
            return call(*args, **options)
        except CLIENT_ERRORS as error:
            raise fault_of(error, self.url) from error


def _roots(url: str) -> dict[str, bytes]:
    """The certificates to trust, where others are named than gRPC's own, which reads another variable."""
    named = os.environ.get(CERTIFICATES)
    return {"root_certificates": Path(named).read_bytes()} if named and url.startswith("https:") else {}


def fault_of(error: Exception, node: str) -> Fault:
    """The fault that an error of qdrant-client says."""
    source = error.source if isinstance(error, ResponseHandlingException) else error
    if isinstance(source, httpx.HTTPError):
        return unanswered(source, node)
    if isinstance(source, ResourceExhaustedResponse):
        return answered(429, source.message, retry_after=float(source.retry_after_s), node=node)
    if isinstance(source, rpc.RpcError):
        return answered_by_code(source.code().name, str(source.details()), node=node)
    if isinstance(source, UnexpectedResponse) and source.status_code is not None:
        content = httpx.Response(source.status_code, content=source.content)
        return answered(source.status_code, said_by(content), node=node)
    return Fault(Kind.FOREIGN, "its answer is none of Qdrant's", node=node)


def _payload_operation(overwrite: Json) -> grpc.PointsUpdateOperation:
    ids = grpc.PointsIdsList(ids=[grpc.PointId(uuid=str(id)) for id in overwrite["points"]])
    changed = grpc.PointsUpdateOperation.OverwritePayload(
        payload=RestToGrpc.convert_payload(overwrite["payload"]), points_selector=grpc.PointsSelector(points=ids)
    )
    return grpc.PointsUpdateOperation(overwrite_payload=changed)


def _vectors(named: Mapping[str, Any]) -> grpc.Vectors:
    vectors = grpc.Vectors(vectors=grpc.NamedVectors())
    for name, vector in named.items():
        target = vectors.vectors.vectors[name]
        if isinstance(vector, np.ndarray):
            target.dense.MergeFromString(_dense_prefix(len(vector)) + vector.astype("<f4", copy=False).tobytes())
        else:
            target.sparse.indices.extend(vector["indices"].tolist())
            target.sparse.values.extend(vector["values"].tolist())
    return vectors


@lru_cache(maxsize=64)
def _dense_prefix(width: int) -> bytes:
    """What protobuf writes before the numbers of a dense vector, which follow as they are in memory.

    Cut from a vector of zeros, which ends with its numbers.
    """
    written: bytes = grpc.DenseVector(data=[0.0] * width).SerializeToString()
    return written[: len(written) - 4 * width]


def _record(point: grpc.RetrievedPoint) -> Attributes:
    named = {name: _read(vector) for name, vector in point.vectors.vectors.vectors.items()}
    return Attributes(id=point.id.uuid, vector=named, payload=GrpcToRest.convert_payload(point.payload))


def _read(vector: grpc.VectorOutput) -> Vector | SparseVector:
    kind = vector.WhichOneof("vector")
    if kind == "sparse":
        return SparseVector(np.asarray(vector.sparse.indices, np.uint32), np.asarray(vector.sparse.values, np.float32))
    if kind == "dense":
        return _numbers(vector.dense)
    return np.asarray(vector.data, np.float32)  # as servers before 1.17 answer


def _numbers(dense: grpc.DenseVector) -> Vector:
    written = dense.SerializeToString()
    width = len(dense.data)
    return np.frombuffer(written, "<f4", width, len(written) - 4 * width).astype(np.float32, copy=True)
