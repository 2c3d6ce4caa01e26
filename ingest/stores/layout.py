"""How a collection lies over the nodes of a server, and how it fares there. It must not know how a server is asked."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import UsageError

SHARDS_A_NODE = 2
"""So that a node that is added later can take some."""

MOST_SHARDS = 64


@dataclass(frozen=True, slots=True)
class Layout:
    """How new collections are laid out; None of each for what suits the number of nodes.

    ``shards``: parts of a collection. ``replicas``: copies of each part, on nodes of their own. ``write_consistency``:
    how many of the copies must have a write before it is acknowledged.
    """

    shards: int | None = None
    replicas: int | None = None
    write_consistency: int | None = None

    @property
    def is_asked_for(self) -> bool:
        """Whether anything of it was."""
        return (self.shards, self.replicas, self.write_consistency) != (None, None, None)

    def on(self, nodes: int) -> Layout:
        """As it is on so many nodes: with two copies of everything any one node may be down, and a run goes on.

        Raises:
            UsageError: there are to be more copies than nodes, or more that have a write than copies.
        """
        shards = min(MOST_SHARDS, SHARDS_A_NODE * nodes) if nodes > 1 else 1
        replicas, writes = self.replicas or min(2, nodes), self.write_consistency or 1
        if replicas > nodes:
            raise UsageError(f"--replicas {replicas} wants as many nodes, and the server has {nodes}")
        if writes > replicas:
            raise UsageError(f"--write-consistency {writes} is more than there are replicas, {replicas}: none would do")
        return Layout(self.shards or shards, replicas, writes)


@dataclass(frozen=True, slots=True)
class Health:
    """What a server tells of a collection.

    ``status``: green, yellow (it optimizes), grey (it will, after the next write) or red. ``error``: of its optimizer.
    ``indexed``: vectors in a graph. ``nodes``: of the cluster, None where the key may not ask. ``trouble``: a line for
    each copy that is not active, and each node that does not answer.
    """

    status: str
    error: str = ""
    indexed: int = 0
    shards: int = 1
    replicas: int = 1
    nodes: int | None = None
    trouble: tuple[str, ...] = ()
