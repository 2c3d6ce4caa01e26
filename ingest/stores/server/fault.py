"""What a Qdrant server or its network answers when it does not do as asked, judged by status and code, and our errors
for it."""

from __future__ import annotations

from contextlib import suppress

import grpc  # type: ignore[import-untyped]
import httpx
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from ingest.errors import CollectionNotFound, RightMissing, StoreError, StoreUnreachable

NOT_FOUND = 404
CONFLICT = 409
"""The HTTP status of making what is there already."""

TOO_LARGE = 413
"""The HTTP status of a request that is larger than the server, or a proxy before it, takes."""

CLIENT_ERRORS = (ApiException, QdrantException, grpc.RpcError, httpx.HTTPError)
"""What the client raises for an answer that is an error, or none."""

_GRPC_REFUSALS = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": NOT_FOUND, "ALREADY_EXISTS": CONFLICT}
_GRPC_PASSING = ("ABORTED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE")


def status_of(error: BaseException) -> int:
    """The HTTP status an error amounts to, whichever way it came."""
    source = error.source if isinstance(error, ResponseHandlingException) else error
    if isinstance(source, httpx.TransportError):
        return 503
    if isinstance(source, ResourceExhaustedResponse):
        return 429
    if isinstance(source, grpc.RpcError):
        name = source.code().name
        return 503 if name in _GRPC_PASSING else _GRPC_REFUSALS.get(name, 400)
    status = source.status_code if isinstance(source, UnexpectedResponse) else None
    return 400 if status is None else status


def is_passing(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later."""
    return isinstance(error, CLIENT_ERRORS) and (status_of(error) == 429 or status_of(error) >= 500)


def reason_of(error: BaseException) -> str:
    """What the server or the network says of it, on one line."""
    source = error.source if isinstance(error, ResponseHandlingException) else error
    reason = str(source) or type(source).__name__
    if isinstance(source, grpc.RpcError):
        reason = str(source.details())
    elif isinstance(source, UnexpectedResponse):
        reason = f"{source.status_code} {source.reason_phrase}"
        with suppress(ValueError, KeyError, TypeError):
            reason = str(source.structured()["status"]["error"])
    elif source is not error and not isinstance(source, httpx.TransportError):
        reason = "its answer is none of Qdrant's"
    return " ".join(reason.split())


def translated(error: BaseException, where: str) -> StoreError:
    """Ours for an error of the client, with what to do."""
    status, reason, server = status_of(error), reason_of(error), f"the Qdrant server at {where}"
    if status in (401, 403):
        kind = RightMissing if status == 403 else StoreUnreachable
        return kind(f"{server} refuses the API key ({reason}): set QDRANT_API_KEY")
    if status == NOT_FOUND:
        return CollectionNotFound(f"the collection is no longer on {server} ({reason})")
    if is_passing(error):
        again = "what it acknowledged stays, run the same command again when it is back"
        return StoreUnreachable(f"{server} does not answer ({reason}): {again}")
    if status == TOO_LARGE:
        limits = "max_request_size_mb of Qdrant, client_max_body_size of nginx"
        return StoreError(f"{server} takes no request as large as one picture ({reason}): raise its limit ({limits})")
    return StoreError(f"a request to {server} failed: {reason}")
