"""A picture at an address that a client names: fetched from public addresses only, since this server may reach others.

It must not know what becomes of it.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from tempfile import TemporaryFile
from typing import IO

import httpx

from model.errors import PictureError

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
DEADLINE_SECONDS = 30.0
"""For everything that an address gives."""

MOST_REDIRECTS = 5
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""Addresses that end in one of IPv4, which is where they lead."""

NOT_FETCHED = "no picture came from that address: check it, or send the picture itself"
"""For every failure: what went wrong would tell a client what else is in this server's network."""


class NotFetched(PictureError):  # noqa: N818 - as in `model.errors`
    """An address that gave no picture, for a reason that is not told."""

    def __init__(self) -> None:
        super().__init__(NOT_FETCHED)


def fetch(url: str, limit: int, *, private: bool) -> IO[bytes]:
    """What is at an address, as a file at its beginning, which has no name.

    Args:
        limit: bytes.
        private: whether addresses of this machine and its networks are fetched, too.

    Raises:
        NotFetched: there is nothing, not in time, too much of it, or it must not be asked.
    """
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    transport: httpx.BaseTransport = httpx.HTTPTransport()
    file = TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with httpx.Client(
            transport=transport if private else _PublicOnly(transport),
            timeout=timeout,
            follow_redirects=True,
            max_redirects=MOST_REDIRECTS,
            trust_env=False,  # a proxy would resolve the names itself
            headers={"Accept": "image/*", "Accept-Encoding": "identity"},
        ) as client:
            _download(client, url, file, limit)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, NotFetched):
        file.close()
        raise NotFetched from None
    except BaseException:
        file.close()
        raise
    file.flush()
    file.seek(0)
    return file


def _download(client: httpx.Client, url: str, file: IO[bytes], limit: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    with client.stream("GET", url) as answer:
        answer.raise_for_status()
        size = 0
        for part in answer.iter_raw():  # not unpacked: a small answer could become a large one
            size += len(part)
            if size > limit or time.monotonic() > deadline:
                raise NotFetched
            file.write(part)
    if not size:
        raise NotFetched


class _PublicOnly(httpx.BaseTransport):
    """Connects to the address that was looked at, so that a name cannot lead elsewhere a moment later.

    Every redirect comes by here, too.
    """

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        address = public_address(host, request.url.port or {"http": 80}.get(request.url.scheme, 443))
        return self._transport.handle_request(
            httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # with the name in Host
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
        )

    def close(self) -> None:
        self._transport.close()


def public_address(host: str, port: int) -> str:
    """An address of a host, all of whose addresses are public. Raises NotFetched, OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]) for one in found]
    if not addresses or not all(is_public(one) for one in addresses):
        raise NotFetched
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether everybody on the Internet can reach it, and no other address hides in it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if any(address in network for network in NAT64):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner or address.teredo:
            return inner is not None and is_public(str(inner))
    return address.is_global and not address.is_multicast
