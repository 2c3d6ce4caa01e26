"""`ingest run --ray`: a cluster of Ray embeds the files of one run. Ray starts the workers and tells which are lost;
here the files are dealt out in shares, and those of a lost worker are dealt out again.

A share is acknowledged as a whole by the worker that wrote it. What a lost one wrote is written again: the id of a
picture's point is that of its path, so nothing is there twice. It must not know what is recorded of the files.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ingest.collection import Options
from ingest.errors import StoreError
from ingest.pipeline.changes import Indexed
from ingest.pipeline.embedder import ACK_PICTURES
from ingest.pipeline.ray_worker import Work, Worker
from ingest.stores import Store, batches
from model.encoders import Record
from model.errors import UsageError, WordsightError
from model.pictures import PictureFile
from model.system.events import note

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, for as long as the run."""

SHARE = 4 * ACK_PICTURES
"""Files that a worker gets at once: seconds of work with the bundled encoder, half a minute with VGG16. They are whole
batches, as on one machine: the last bits of a projection depend on how many pictures are projected together."""

AHEAD = 2
"""Shares that a worker has: one that it works on, and the next."""

TRIES = 3
"""Of a share whose workers die, and of a machine to start one."""

LOOK_SECONDS = 2.0
QUIET_SECONDS = 20.0
"""Without any worker at work, after which that is said."""


@dataclass(slots=True)
class Share:
    """Files that one worker embeds. ``lost``: how many workers died with it."""

    files: list[PictureFile]
    lost: int = 0


@dataclass(slots=True)
class Hired:
    """A worker on a node of the cluster. ``name``: of its machine."""

    actor: Any
    node: str
    name: str
    shares: dict[Any, Share] = field(default_factory=dict)


def embed_on_ray(
    elsewhere: Callable[[], Store],
    collection: str,
    root: Path,
    options: Options,
    files: Sequence[PictureFile],
    indexed: Mapping[str, Indexed],
    acknowledged: Callable[[Sequence[Record]], None],
) -> int:
    """Embed files on every machine of a Ray cluster that sees them.

    Args:
        elsewhere: opens the store on another machine, to write. acknowledged: called with what became of files.

    Returns:
        How many were known by their content.

    Raises:
        UsageError: Ray is not installed, or no cluster is there.
        StoreError: no machine can do the work, or a share ends every worker that has it.
    """
    work = Work(elsewhere, collection, root, files[0].relative, options)
    with _connected(options.ray) as ray:
        crew = Crew(ray, work, indexed, [Share(some) for some in batches(files, SHARE)])
        try:
            return sum(crew.run(acknowledged))
        finally:
            crew.dismiss()


@contextmanager
def _connected(address: str) -> Iterator[ModuleType]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # which would be sent to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--ray needs another package ({error.name} is missing): pip install ray") from None
    if ray.is_initialized():  # by a program that uses this one
        yield ray
        return
    where = {"include_dashboard": False} if address == LOCAL else {"address": address}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **where)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"no Ray cluster answers at {address!r} ({reason}): `ray start --head` begins one, and --ray {LOCAL} does "
            "with this machine"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


class Crew:
    """The workers of one run, one for each machine, or for each of its GPUs."""

    def __init__(self, ray: ModuleType, work: Work, indexed: Mapping[str, Indexed], shares: Sequence[Share]) -> None:
        self._ray = ray
        self._work = work
        self._indexed = ray.put(dict(indexed))
        self._waiting = deque(shares)
        self._workers: list[Hired] = []
        self._beginning: dict[Any, Hired] = {}
        self._started: dict[str, int] = {}
        self._left_out = ""
        self._looked = -LOOK_SECONDS
        self._busy_at = time.monotonic()

    def run(self, acknowledged: Callable[[Sequence[Record]], None]) -> Iterator[int]:
        """Until every share is done; yields of each how many of its files were known by their content."""
        while self._waiting or any(worker.shares for worker in self._workers):
            self._hire()
            self._deal_out()
            under_way = [*self._beginning, *(ref for worker in self._workers for ref in worker.shares)]
            if not under_way:
                self._need_some()
                time.sleep(LOOK_SECONDS)
                continue
            done, _ = self._ray.wait(under_way, num_returns=1, timeout=LOOK_SECONDS)
            self._say_so_if_quiet()
            for ref in done:
                if ref in self._beginning:
                    self._begun(ref)
                elif (found := self._done(ref)) is not None:
                    records, copied = found
                    acknowledged(records)
                    yield copied

    def dismiss(self) -> None:
        """End all workers, at once."""
        for worker in (*self._workers, *self._beginning.values()):
            self._ray.kill(worker.actor, no_restart=True)

    def _hire(self) -> None:
        """Start workers on machines that have none: those that are new, and those whose worker died."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        busy = [worker.node for worker in (*self._workers, *self._beginning.values())]
        for node in self._ray.nodes():
            wanted = max(1, int(node["Resources"].get("GPU", 0))) - busy.count(node["NodeID"])
            for _ in range(wanted if node["Alive"] and node["Resources"].get("CPU") else 0):
                if self._started.get(node["NodeID"], 0) < TRIES * max(1, int(node["Resources"].get("GPU", 0))):
                    self._start(node)

    def _start(self, node: Mapping[str, Any]) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        id, gpus = node["NodeID"], int(node["Resources"].get("GPU", 0))
        self._started[id] = self._started.get(id, 0) + 1
        actor = (
            self._ray.remote(Worker)
            .options(
                num_cpus=max(1, int(node["Resources"]["CPU"]) // max(1, gpus)),
                num_gpus=min(1, gpus),
                scheduling_strategy=NodeAffinitySchedulingStrategy(id, soft=False),
            )
            .remote()
        )
        self._beginning[actor.begin.remote(self._work, self._indexed)] = Hired(actor, id, node["NodeManagerHostname"])

    def _begun(self, ref: Any) -> None:
        worker = self._beginning.pop(ref)
        try:
            self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            self._ray.kill(worker.actor, no_restart=True)
            reason = _reason(error)
            if isinstance(getattr(error, "cause", None), WordsightError):
                self._started[worker.node] = TRIES * 100  # it would say the same again
            self._left_out = f"the worker on {worker.name} cannot begin: {reason}"
            note(self._left_out)
        else:
            self._workers.append(worker)

    def _deal_out(self) -> None:
        for _ in range(AHEAD):
            for worker in self._workers:
                if self._waiting and len(worker.shares) < AHEAD:
                    share = self._waiting.popleft()
                    worker.shares[worker.actor.embed.remote(share.files)] = share

    def _done(self, ref: Any) -> tuple[list[Record], int] | None:
        """The records of a share; None where its worker was lost."""
        worker = next((worker for worker in self._workers if ref in worker.shares), None)
        if worker is None:
            return None  # lost with its worker, just now
        try:
            found: tuple[list[Record], int] = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, WordsightError):
                raise type(cause)(f"{cause} (on {worker.name})") from None
            raise StoreError(f"the worker on {worker.name} failed: {_reason(error)}") from error
        except self._ray.exceptions.RayError as error:
            self._lost(worker, error)
            return None
        del worker.shares[ref]
        self._busy_at = time.monotonic()
        return found

    def _lost(self, worker: Hired, error: Exception) -> None:
        """Deal its shares out again, of which the first is the one that it worked on."""
        self._workers.remove(worker)
        self._ray.kill(worker.actor, no_restart=True)
        shares = list(worker.shares.values())
        worker.shares.clear()
        shares[0].lost += 1
        if shares[0].lost >= TRIES:
            raise StoreError(
                f"{TRIES} workers ended while they embedded the same {len(shares[0].files)} files, from "
                f"{shares[0].files[0].relative!r} on ({_reason(error)}): `ingest run` without --ray tells which"
            ) from error
        self._waiting.extendleft(reversed(shares))
        count = sum(len(share.files) for share in shares)
        note(
            f"the worker on {worker.name} is lost ({_reason(error)}): its {count} pictures are embedded again elsewhere"
        )

    def _need_some(self) -> None:
        if self._left_out and not self._beginning:
            raise StoreError(f"no machine of the Ray cluster can do the work: {self._left_out}")

    def _say_so_if_quiet(self) -> None:
        if not self._workers and time.monotonic() - self._busy_at > QUIET_SECONDS:
            self._busy_at = float("inf")
            note("no machine of the Ray cluster has room for a worker yet: waiting for one (`ray status` shows why)")


def _reason(error: Exception) -> str:
    """On one line, without what happened inside Ray."""
    cause = getattr(error, "cause", None) or error
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0].rstrip(".:")
