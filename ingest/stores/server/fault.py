"""What a Qdrant server or its network does when it does not do as asked, judged by status and code, and our errors for
it. It must not know how a request was sent."""

from __future__ import annotations

import errno
import os
from enum import Enum

from ingest.errors import CollectionNotFound, RightMissing, StoreError, StoreUnreachable

NOT_FOUND = 404
CONFLICT = 409
"""The HTTP status of making what is there already."""

TOO_LARGE = 413
"""The HTTP status of a request that is larger than the server, or a proxy before it, takes."""


class Kind(Enum):
    """What is the matter, which decides what is done about it."""

    DOWN = "nothing listens there"
    UNREACHED = "no connection in time"
    SILENT = "a connection, and no answer in time"
    LOST = "the connection ended without an answer"
    UNTRUSTED = "a certificate that is not trusted"
    PLAIN = "no TLS where the address asks for it"
    UNREADY = "it starts, or has lost a leader or a replica for now"
    FAILING = "it answers, and fails"
    RATE = "asked too often"
    KEY = "no key, or not one of its"
    RIGHT = "a key without this right"
    LOCKED = "locked against writing"
    DISK_FULL = "its disk is full"
    READ_ONLY = "its disk cannot be written"
    MISSING = "no such collection or point"
    CONFLICT = "there already"
    TOO_LARGE = "larger than it, or a proxy before it, takes"
    REFUSED = "not a request that it takes"
    FOREIGN = "no answer of a Qdrant server"


UNANSWERED = frozenset({Kind.DOWN, Kind.UNREACHED, Kind.SILENT, Kind.LOST})
ELSEWHERE = UNANSWERED | {Kind.UNREADY, Kind.FAILING}
"""What another node of the same cluster may well do better."""

PASSING = ELSEWHERE | {Kind.RATE}

_KINDS = {
    401: Kind.KEY,
    403: Kind.RIGHT,
    NOT_FOUND: Kind.MISSING,
    408: Kind.SILENT,
    CONFLICT: Kind.CONFLICT,
    TOO_LARGE: Kind.TOO_LARGE,
    429: Kind.RATE,
    503: Kind.UNREADY,
    504: Kind.SILENT,
}

_STATUS_OF_CODE = {
    "ABORTED": 503,
    "ALREADY_EXISTS": CONFLICT,
    "CANCELLED": 503,
    "DATA_LOSS": 500,
    "DEADLINE_EXCEEDED": 408,
    "FAILED_PRECONDITION": 500,
    "INTERNAL": 500,
    "NOT_FOUND": NOT_FOUND,
    "OUT_OF_RANGE": TOO_LARGE,  # of a message; no call of ours has another range
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "UNAUTHENTICATED": 401,
    "UNAVAILABLE": 503,
    "UNIMPLEMENTED": 501,
    "UNKNOWN": 500,
}
"""The HTTP status that the server gives for the same thing, by the name of its gRPC code."""

_OF_DISKS = {
    os.strerror(errno.ENOSPC): Kind.DISK_FULL,
    os.strerror(errno.EDQUOT): Kind.DISK_FULL,
    os.strerror(errno.EROFS): Kind.READ_ONLY,
}
"""Disks have no status of their own (500, INTERNAL): the system's name for it is in what the server says."""


class Fault(Exception):  # noqa: N818 - it is what happened, not yet an error of ours
    """One request that was not answered as asked.

    ``status``: the HTTP status it amounts to, whichever way it came; 0 where nothing was answered. ``retry_after``:
    seconds, where the server says when to ask again. ``node``: the address that was asked.
    """

    def __init__(
        self, kind: Kind, reason: str, status: int = 0, *, retry_after: float | None = None, node: str = ""
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = " ".join(reason.split())
        self.status = status
        self.retry_after = retry_after
        self.node = node


def answered(status: int, reason: str, *, retry_after: float | None = None, node: str = "") -> Fault:
    """The fault that an HTTP status says."""
    kind = _KINDS.get(status, Kind.FAILING if status >= 500 else Kind.REFUSED)
    if kind is Kind.FAILING:
        kind = next((found for name, found in _OF_DISKS.items() if name in reason), kind)
    return Fault(kind, reason, status, retry_after=retry_after, node=node)


def answered_by_code(code: str, reason: str, *, retry_after: float | None = None, node: str = "") -> Fault:
    """The fault that a gRPC code says."""
    return answered(_STATUS_OF_CODE.get(code, 400), reason, retry_after=retry_after, node=node)


def status_of(error: BaseException) -> int:
    """The HTTP status of a fault; 0 of anything else."""
    return error.status if isinstance(error, Fault) else 0


def is_passing(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later."""
    return isinstance(error, Fault) and error.kind in PASSING


AGAIN = "what it acknowledged stays, run the same command again when it is back"


def translated(fault: Fault, where: str, *, has_key: bool = False) -> StoreError:
    """Ours for a fault, with what to do.

    Args:
        has_key: whether an API key was given.
    """
    node = fault.node or where
    server = f"the Qdrant server at {node}"
    if fault.kind is Kind.MISSING:
        return CollectionNotFound(f"the collection is no longer on {server} ({fault.reason})")
    if fault.kind is Kind.KEY:
        wrong = f"{server} refuses the API key that was given ({fault.reason}): give the right one"
        none = f"{server} wants an API key ({fault.reason}): give it"
        return StoreUnreachable(f"{wrong if has_key else none}, in QDRANT_API_KEY or with --api-key")
    if fault.kind is Kind.RIGHT:
        return RightMissing(
            f"the API key that was given lacks a right on {server} ({fault.reason}): use one that has it"
        )
    if fault.kind in _UNREACHABLE:
        return StoreUnreachable(_UNREACHABLE[fault.kind].format(server=server, reason=fault.reason))
    return StoreError(
        _FAILED.get(fault.kind, "a request to {server} failed: {reason}").format(
            server=server, node=node, reason=fault.reason
        )
    )


_UNREACHABLE = {
    Kind.UNTRUSTED: "the certificate of {server} is not trusted ({reason}): if it is your own, name it in "
    "SSL_CERT_FILE, or that of who signed it, and use an address that it is made out to",
    Kind.PLAIN: "{server} does not speak TLS ({reason}): write http:// instead of https://",
    Kind.DOWN: "{server} does not answer ({reason}): " + AGAIN,
    Kind.UNREACHED: "{server} cannot be reached in time ({reason}): see whether its machine is on and the network "
    "lets its port through; " + AGAIN,
    Kind.SILENT: "{server} is there and does not answer in time ({reason}): it is stopped or overloaded, its log "
    "tells; " + AGAIN,
    Kind.LOST: "{server} does not answer, it ends the connection ({reason}): " + AGAIN,
    Kind.UNREADY: "{server} is not ready ({reason}): it starts, or waits for other nodes; " + AGAIN,
    Kind.RATE: "{server} is asked too often ({reason}): wait, or raise read_rate_limit and write_rate_limit in its "
    "strict mode; " + AGAIN,
}
_FAILED = {
    Kind.FAILING: "{server} fails ({reason}): its log tells why; " + AGAIN,
    Kind.TOO_LARGE: "{server} takes no request as large as one picture ({reason}): raise its limit "
    "(max_request_size_mb of Qdrant, client_max_body_size of nginx)",
    Kind.DISK_FULL: "the disk of {server} is full ({reason}): make room there; what it acknowledged stays, run the "
    "same command again afterwards",
    Kind.READ_ONLY: "the disk of {server} cannot be written ({reason}): its system's log tells why; what it "
    "acknowledged stays, run the same command again when it can be",
    Kind.LOCKED: "{server} is locked against writing ({reason}): who locked it must unlock it (POST /locks), then run "
    "the same command again",
    Kind.FOREIGN: "what answers at {node} is not a Qdrant server ({reason}): check the address, and whether it begins "
    "with https://",
}
