"""The calls of a question, in JSON over REST: a command that only asks does without qdrant-client, whose import takes
four times as long as the question.

The names and arguments are those of its methods, what is sent and given back is the JSON of the REST API:

    info                   GET  /                            retrieve              POST /collections/NAME/points
    get_collections        GET  /collections                 scroll                POST .../points/scroll
    get_collection         GET  /collections/NAME            query_points          POST .../points/query
    get_aliases            GET  /aliases                     count                 POST .../points/count
    cluster                GET  /cluster                     facet                 POST /collections/NAME/facet
    collection_cluster     GET  /collections/NAME/cluster    upsert                PUT  .../points
    locks                  GET  /locks                       update_vectors        PUT  .../points/vectors
                                                             batch_update_points   POST .../points/batch

(api.qdrant.tech). It must not know collections, only their names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np

from ingest.stores.server.fault import Fault, Kind, answered
from model.errors import UsageError

Json = Mapping[str, Any]

UNCOMPRESSED = {"accept-encoding": "identity"}
"""A compressed answer comes in two pieces, and the second waits for the first to be acknowledged, which systems put off
for 40 ms: far longer than most questions take."""


CERTIFICATES = "SSL_CERT_FILE"
"""The variable that names the certificates to trust, instead of those that come with httpx."""


class Attributes(dict[str, Any]):
    """A JSON object whose members can be read as attributes too, as of the models of qdrant-client; None where there
    is none of that name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # by which others find out what it is
            raise AttributeError(name)
        return self.get(name)


class RestClient:
    """One node.

    Args:
        url: with scheme, host and port. seconds: to wait for an answer, asked at each request.
    """

    def __init__(self, url: str, api_key: str | None, seconds: Callable[[], float]) -> None:
        self.url = url
        self._seconds = seconds
        headers = {**UNCOMPRESSED, **({"api-key": api_key} if api_key else {})}
        is_secure = url.lower().startswith("https:")
        try:
            # Reading the certificates takes 0.2 s, and a connection without TLS needs none.
            self._http = httpx.Client(base_url=url, headers=headers, verify=is_secure)
        except OSError as error:
            named = os.environ.get(CERTIFICATES, "")
            raise UsageError(f"{CERTIFICATES} names {named!r}, which is no file of certificates ({error})") from error

    def info(self, seconds: float | None = None) -> Attributes:
        return self._decoded(self._send("GET", "/", seconds=seconds))

    def get_collections(self) -> Any:
        return self._result("GET", "/collections")

    def get_collection(self, name: str) -> Any:
        return self._result("GET", _path(name))

    def get_aliases(self) -> Any:
        return self._result("GET", "/aliases")

    def cluster(self) -> Any:
        return self._result("GET", "/cluster")

    def collection_cluster(self, name: str) -> Any:
        return self._result("GET", _path(name, "cluster"))

    def locks(self) -> Any:
        return self._result("GET", "/locks")

    def query_points(
        self,
        name: str,
        query: object,
        *,
        using: str,
        query_filter: Json | None = None,
        limit: int,
        search_params: Json | None = None,
        with_payload: object = True,
    ) -> Any:
        body = {"query": query, "using": using, "filter": query_filter, "limit": limit, "params": search_params}
        return self._result("POST", _path(name, "points/query"), {**body, "with_payload": with_payload})

    def retrieve(
        self,
        name: str,
        ids: Sequence[str],
        with_payload: object = True,
        with_vectors: object = False,
        consistency: object = None,
        seconds: float | None = None,
    ) -> Any:
        body = {"ids": ids, "with_payload": with_payload, "with_vector": with_vectors}
        return self._result("POST", _path(name, "points"), body, seconds, consistency=consistency)

    def scroll(
        self,
        name: str,
        scroll_filter: Json | None = None,
        limit: int = 10,
        *,
        offset: object = None,
        with_payload: object = True,
        with_vectors: object = False,
        consistency: object = None,
    ) -> tuple[Any, Any]:
        body = {"filter": scroll_filter, "limit": limit, "offset": offset}
        body |= {"with_payload": with_payload, "with_vector": with_vectors}
        page = self._result("POST", _path(name, "points/scroll"), body, consistency=consistency)
        return page.points, page.next_page_offset

    def count(self, name: str, count_filter: Json | None = None, *, exact: bool = True) -> Any:
        return self._result("POST", _path(name, "points/count"), {"filter": count_filter, "exact": exact})

    def facet(
        self, name: str, key: str, *, facet_filter: Json | None = None, limit: int = 10, exact: bool = False
    ) -> Any:
        body = {"key": key, "filter": facet_filter, "limit": limit, "exact": exact}
        return self._result("POST", _path(name, "facet"), body)

    def upsert(self, name: str, points: Sequence[Json], *, wait: bool = True) -> Any:
        return self._result("PUT", _path(name, "points"), {"points": points}, wait=wait)

    def update_vectors(self, name: str, points: Sequence[Json], *, wait: bool = True) -> Any:
        return self._result("PUT", _path(name, "points/vectors"), {"points": points}, wait=wait)

    def batch_update_points(self, name: str, operations: Sequence[Json], *, wait: bool = True) -> Any:
        return self._result("POST", _path(name, "points/batch"), {"operations": operations}, wait=wait)

    def close(self) -> None:
        self._http.close()

    def _result(
        self, method: str, path: str, body: Json | None = None, seconds: float | None = None, **asked: object
    ) -> Any:
        answer = self._decoded(self._send(method, path, body, asked, seconds))
        if "result" not in answer:
            raise Fault(Kind.FOREIGN, "its answer is none of Qdrant's", node=self.url)
        return answer["result"]

    def _send(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        asked: Mapping[str, object] | None = None,
        seconds: float | None = None,
    ) -> httpx.Response:
        """``seconds``: at most, of those to wait for an answer."""
        content = None if body is None else json.dumps(_without_none(body), default=_plain).encode()
        query = {key: _parameter(value) for key, value in (asked or {}).items() if value is not None}
        headers = {"content-type": "application/json"} if content else {}
        try:
            allowed = self._seconds() if seconds is None else min(seconds, self._seconds())
            response = self._http.request(method, path, params=query, content=content, headers=headers, timeout=allowed)
        except httpx.HTTPError as error:
            raise unanswered(error, self.url) from error
        if response.is_success:
            return response
        wait = response.headers.get("retry-after", "")
        retry_after = float(wait) if wait.isdecimal() else None
        raise answered(response.status_code, said_by(response), retry_after=retry_after, node=self.url)

    def _decoded(self, response: httpx.Response) -> Attributes:
        try:
            answer = json.loads(response.content, object_hook=Attributes)
        except ValueError as error:
            raise Fault(Kind.FOREIGN, "its answer is none of Qdrant's", node=self.url) from error
        if not isinstance(answer, Attributes):
            raise Fault(Kind.FOREIGN, "its answer is none of Qdrant's", node=self.url)
        return answer


def unanswered(error: httpx.HTTPError, node: str) -> Fault:
    """The fault of a request that was not answered."""
    kind, text = Kind.LOST, str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        kind = Kind.UNTRUSTED
    elif "WRONG_VERSION_NUMBER" in text:
        kind = Kind.PLAIN
    elif isinstance(error, httpx.RemoteProtocolError) and text.startswith("illegal "):
        kind = Kind.FOREIGN  # TLS where the address asks for none
    elif isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        kind = Kind.UNREACHED
    elif isinstance(error, httpx.ConnectError):
        kind = Kind.DOWN
    elif isinstance(error, httpx.TimeoutException):
        kind = Kind.SILENT
    return Fault(kind, text or type(error).__name__, node=node)


def said_by(response: httpx.Response) -> str:
    """What the server says of an error; a proxy before it may say anything."""
    with suppress(ValueError, KeyError, TypeError):
        return str(response.json()["status"]["error"])
    return f"{response.status_code} {response.reason_phrase}"


def _path(name: str, rest: str = "") -> str:
    return f"/collections/{quote(name, safe='')}" + (f"/{rest}" if rest else "")


def _without_none(body: Json) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


def _parameter(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(getattr(value, "value", value))


def _plain(value: Any) -> Any:
    """What is no JSON: vectors, and the models of qdrant-client where a caller has them."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.model_dump(mode="json", exclude_none=True)
