"""Who a client is, as far as limits go: an address. It must not know what is limited."""

from __future__ import annotations

import ipaddress

from starlette.types import Scope

IPV6_PREFIX = 64
"""Whoever has one address of such a network has all of them."""


def client_of(scope: Scope) -> str:
    """By which one client is told from another; behind a proxy on this machine, the client that it names."""
    client = scope.get("client")
    return network_of(client[0]) if client else ""


def network_of(host: str) -> str:
    """An IPv4 address, or the network of an IPv6 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False).network_address)
    return str(address)
