"""What a Qdrant server answers, or its network, when it does not do as asked; and our errors for it."""

from __future__ import annotations

from contextlib import suppress

import grpc  # type: ignore[import-untyped]
import httpx
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from ingest.errors import CollectionNotFound, StoreError, StoreUnreachable

TOO_LARGE = 413
"""The HTTP status of a request that is larger than the server, or a proxy before it, takes."""

FOREIGN = (ApiException, QdrantException, grpc.RpcError, httpx.HTTPError, ValueError, KeyError, RuntimeError)
"""What a client raises; the last three are of its local mode, which stands for a server in tests."""
_GRPC_REFUSALS = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409}
_GRPC_PASSING = ("ABORTED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE")


def status_of(error: BaseException) -> int:
    """The HTTP status an error amounts to, whichever way it came."""
    source = error.source if isinstance(error, ResponseHandlingException) else error
    text = str(source)
    if isinstance(source, httpx.TransportError):
        return 503
    if isinstance(source, ResourceExhaustedResponse):
        return 429
    if isinstance(source, grpc.RpcError):
        name = source.code().name
        return 503 if name in _GRPC_PASSING else _GRPC_REFUSALS.get(name, 400)
    status = source.status_code if isinstance(source, UnexpectedResponse) else None
    if status is None or status == 400:
        return 409 if "already exists" in text else 404 if "not found" in text else 400
    return status


def is_passing(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later."""
    return isinstance(error, FOREIGN) and (status_of(error) == 429 or status_of(error) >= 500)


def reason_of(error: BaseException) -> str:
    source = error.source if isinstance(error, ResponseHandlingException) else error
    said = str(source) or type(source).__name__
    if isinstance(source, grpc.RpcError):
        said = str(source.details())
    elif isinstance(source, UnexpectedResponse):
        said = f"{source.status_code} {source.reason_phrase}"
        with suppress(ValueError, KeyError, TypeError):
            said = str(source.structured()["status"]["error"])
    elif source is not error and not isinstance(source, httpx.TransportError):
        said = "its answer is none of Qdrant's"
    return " ".join(said.split())[:160]


def translated(error: BaseException, where: str) -> StoreError:
    status, reason, server = status_of(error), reason_of(error), f"the Qdrant server at {where}"
    if status in (401, 403):
        return StoreUnreachable(f"{server} refuses the API key ({reason}): set QDRANT_API_KEY")
    if status == 404 and "ollection" in reason:
        return CollectionNotFound(f"the collection is no longer on {server} ({reason})")
    if is_passing(error):
        again = "what it acknowledged stays, run the same command again when it is back"
        return StoreUnreachable(f"{server} does not answer ({reason}): {again}")
    if status == TOO_LARGE:
        limits = "max_request_size_mb of Qdrant, client_max_body_size of nginx"
        return StoreError(f"{server} takes no request as large as one picture ({reason}): raise its limit ({limits})")
    return StoreError(f"a request to {server} failed: {reason}")
