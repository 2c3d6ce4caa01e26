"""What a server tells of the state of a collection: its colour, its optimizer, its copies and their nodes.

It must not know what is in the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from ingest.stores import Health
from ingest.stores.server.client import ServerClient
from ingest.stores.server.fault import Fault


def nodes_of(client: ServerClient) -> int:
    """How many nodes the server has; one where the key may not ask."""
    return _peers(_asked(client.cluster)) or 1


def health_of(client: ServerClient, name: str, info: Any) -> Health:
    """The state of a collection.

    Args:
        info: what the server says of it.
    """
    clusters, copies = _asked(client.clusters) or [], _asked(client.collection_cluster, name)
    params, optimizer = info.config.params, info.optimizer_status
    return Health(
        status=str(getattr(info.status, "value", info.status)),
        error=str(optimizer["error"]) if isinstance(optimizer, dict) and "error" in optimizer else "",
        indexed=info.indexed_vectors_count or 0,
        shards=params.shard_number or 1,
        replicas=params.replication_factor or 1,
        nodes=_peers(clusters[0] if clusters else None),
        trouble=(*_unready_copies(copies), *_silent_nodes(clusters)),
    )


def _asked(call: Any, *args: object) -> Any:
    """The answer, or None: not every key may ask, and older servers know less."""
    with suppress(Fault):
        return call(*args)
    return None


def _peers(cluster: Any) -> int | None:
    """How many nodes; a server that is alone may name none."""
    return None if cluster is None else max(1, len(cluster.peers or ()))


def _unready_copies(copies: Any) -> Iterator[str]:
    if copies is None:
        return
    here = [(shard, copies.peer_id) for shard in copies.local_shards or ()]
    for shard, peer in [*here, *((shard, shard.peer_id) for shard in copies.remote_shards or ())]:
        if shard.state != "Active":
            yield f"the copy of shard {shard.shard_id} on node {peer} is {shard.state}"


def _silent_nodes(clusters: Sequence[Any]) -> Iterator[str]:
    missed: dict[str, int] = {}
    for cluster in clusters:
        for uri, failures in (cluster.message_send_failures or {}).items():
            missed[uri] = max(missed.get(uri, 0), failures.count)
    for uri, count in missed.items():
        yield f"the node at {uri} does not answer its peers, {count} messages in a row"
