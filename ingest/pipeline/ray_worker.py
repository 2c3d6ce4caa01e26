"""One worker of `ingest run --ray`: what a machine of the cluster does. It must not know the others, nor Ray."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.collection import Options, RemovedVectors
from ingest.pipeline.changes import Indexed
from ingest.pipeline.embedder import Embedder
from ingest.stores import Store
from model import __version__
from model.encoders import Embedded, Record, open_encoder
from model.errors import DatasetError, UsageError
from model.pictures import PictureFile
from model.system.names import shown


@dataclass(frozen=True, slots=True)
class Work:
    """What all workers are told. ``elsewhere``: opens the store to write, under the lease that the run holds.
    ``sample``: a file that whoever sees the folder sees. ``program``: the version that the run is of."""

    elsewhere: Callable[[], Store]
    collection: str
    root: Path
    sample: str
    options: Options
    program: str = __version__


class Worker:
    """Holds the store and the encoder open from one share of the files to the next."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def begin(self, work: Work, indexed: Mapping[str, Indexed]) -> str:
        """Open what the work needs; returns the name of this machine.

        Raises:
            DatasetError: the pictures are not to be seen from here.
            UsageError: it has another version of this program.
            StoreError, WeightsError: the store cannot be reached from here, or the encoder is not here.
        """
        if work.program != __version__:
            raise UsageError(f"it has wordsight {__version__}, and the run is of {work.program}: install the same")
        if not (work.root / work.sample).is_file():
            raise DatasetError(
                f"it does not see the pictures in {shown(str(work.root))}: every machine must have them at that path"
            )
        store = self._open.enter_context(work.elsewhere())
        collection = self._open.enter_context(store.open(work.collection))
        metadata = collection.metadata
        encoder = open_encoder(
            metadata.encoder,
            metadata.encoder_sha256,
            framing=metadata.framing,
            device=work.options.device,
            many=True,
        )
        removed = RemovedVectors.read(collection)
        self._embedder: Embedder = Embedder(collection, encoder, work.options, indexed, removed)
        return socket.gethostname()

    def embed(self, files: Sequence[PictureFile]) -> tuple[list[Record], int]:
        """What became of each file, all of it safe; and how many were known by their content. After `begin`."""
        records: list[Record] = []
        before = self._embedder.copied
        self._embedder.embed(files, records.extend)
        return [_light(record) for record in records], self._embedder.copied - before


def _light(record: Record) -> Record:
    """Without its vector, which is in the store."""
    return replace(record, features=None) if isinstance(record, Embedded) else record
