"""Files from the network: progress, resume, checksum, bounded retries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import WeightsError
from model.system.atomic import fsync_dir, sha256_file
from model.system.cache import cache_errors
from model.system.disk import need_space

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_SECONDS = 4.0
READ_TIMEOUT_SECONDS = 30.0
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file: where, how many bytes, which SHA-256."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def download(
    remote: RemoteFile,
    target: Path,
    *,
    advance: Callable[[int], None] = lambda _: None,
    attempts: int = ATTEMPTS,
) -> None:
    """Download ``remote`` to ``target``, resuming an earlier attempt.

    What has arrived so far lies beside the target, ending in ``.part``, until its checksum is right. Dropped
    connections and 5xx answers are tried again, ``attempts`` times in all with growing pauses; a host that
    cannot be reached at all is not, so that a machine without a network fails at once.

    Args:
        advance: called with the number of bytes that are new here, those of an earlier attempt first.

    Raises:
        WeightsError: unreachable, refused, or not the bytes that were published.
        CacheError, DiskFull: the cache cannot take it.
    """
    import httpx
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    part = target.with_name(target.name + ".part")
    with cache_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        done = part.stat().st_size if part.exists() else 0
        need_space(target.parent, max(0, remote.size - done))
    advance(min(done, remote.size))
    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_exponential(multiplier=0.5, max=10),
        retry=retry_if_exception(_is_passing),
        reraise=True,
    )
    timeout = httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
    try:
        with httpx.Client(timeout=timeout, follow_redirects=True) as client:
            retrying(_continue, client, remote, part, advance)
    except httpx.HTTPStatusError as error:
        raise WeightsError(f"{remote.url} answers {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WeightsError(f"cannot reach {remote.url}: {error or type(error).__name__}") from error
    _check(remote, part)
    with cache_errors(target.parent):
        part.replace(target)
        fsync_dir(target.parent)


def _is_passing(error: BaseException) -> bool:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    hopeless = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)
    return isinstance(error, httpx.TransportError) and not isinstance(error, hopeless)


def _continue(client: httpx.Client, remote: RemoteFile, part: Path, advance: Callable[[int], None]) -> None:
    import httpx

    done = part.stat().st_size if part.exists() else 0
    if done >= remote.size:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with client.stream("GET", remote.url, headers=headers) as answer:
        if done and answer.status_code == 416:  # the server's file ends before ours: not the same one
            part.unlink()
            advance(-done)
            raise httpx.RemoteProtocolError(f"{remote.url} cannot be resumed after {done} bytes")
        answer.raise_for_status()
        resumed = answer.status_code == 206
        if done and not resumed:  # the server cannot resume: from the start again
            advance(-done)
            done = 0
        with cache_errors(part.parent), part.open("ab" if resumed else "wb") as file:
            for chunk in answer.iter_raw():
                done += len(chunk)
                if done > remote.size:
                    break  # not the file that was published: the checksum says so
                file.write(chunk)
                advance(len(chunk))
    if done < remote.size:
        raise httpx.RemoteProtocolError(f"the connection ended after {done} of {remote.size} bytes")


def _check(remote: RemoteFile, part: Path) -> None:
    found = sha256_file(part)
    if found != remote.sha256:
        part.unlink()
        raise WeightsError(
            f"{remote.url} gave a file with checksum {found[:8]}, {remote.sha256[:8]} expected; it was deleted"
        )
