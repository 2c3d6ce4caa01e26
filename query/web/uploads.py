"""Pictures that clients asked about: kept for a while, so that an address with one can be reloaded and shared.

It must not know what is asked about them.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.records import Picture
from model.errors import PictureGone
from model.pictures import open_framed
from query.asking import CollectionContext, EncodedPicture, encode

PREFIX = "upload-"
KEPT = 200
"""At most so many, the longest unused going first: 40 MB, since a small copy is kept and not the file."""

KEPT_OF_CLIENT = 50
"""So that one client does not push out what the others sent."""

COPY_PIXELS = 768
"""Longer side of the copy that is kept of a picture: an encoder sees some 256 of it."""

KEPT_SECONDS = 3600.0
GONE = "that picture was kept for an hour and is gone: drop it once more"


@dataclass(slots=True)
class Upload:
    """``copy``: a JPEG file, small and without metadata. ``features``: by encoder, its checksum and its framing."""

    id: str
    copy: bytes
    width: int
    height: int
    expires: float
    client: str = ""
    features: dict[tuple[str, str, str], NDArray[np.float32]] = field(default_factory=dict)

    @property
    def picture(self) -> Picture:
        """As pictures of a collection are told of."""
        sha256 = hashlib.sha256(self.copy).hexdigest()
        return Picture(f"{self.id}.jpg", sha256, self.width, self.height, len(self.copy), mtime_ns=0, visual_norm=1.0)

    def encoded(self, context: CollectionContext) -> EncodedPicture:
        """As this collection's encoder sees it, which may be another than that of the last one asked."""
        encoder = features_key(context)
        if encoder not in self.features:
            pixels = open_framed(self.copy, context.encoder.spec.framing).pixels
            self.features[encoder] = encode(context, pixels)
        return EncodedPicture(self.features[encoder])


def features_key(context: CollectionContext) -> tuple[str, str, str]:
    """What two collections have in common where a picture's features are the same for both."""
    return context.metadata.encoder, context.metadata.encoder_sha256, context.metadata.framing


class Uploads:
    """The pictures kept, in memory only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def add(
        self,
        copy: bytes,
        size: tuple[int, int],
        features: NDArray[np.float32],
        context: CollectionContext,
        client: str = "",
    ) -> Upload:
        """Keep a small copy of a picture, and what the collection's encoder made of the whole.

        Args:
            size: width and height of the whole.
        """
        upload = Upload(
            id=PREFIX + secrets.token_urlsafe(12),
            copy=copy,
            width=size[0],
            height=size[1],
            expires=time.monotonic() + KEPT_SECONDS,
            client=client,
            features={features_key(context): features},
        )
        with self._lock:
            self._kept[upload.id] = upload
            of_client = [id for id, one in self._kept.items() if one.client == client]
            for id in of_client[:-KEPT_OF_CLIENT]:
                del self._kept[id]
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return upload

    def forget_old(self) -> None:
        """Those whose hour is over."""
        now = time.monotonic()
        with self._lock:
            for id in [id for id, one in self._kept.items() if one.expires < now]:
                del self._kept[id]

    def remove(self, id: str) -> Upload:
        """What was kept. Raises PictureGone where it is not."""
        with self._lock:
            upload = self._kept.pop(id, None)
        if upload is None:
            raise PictureGone(GONE)
        return upload

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, id: str) -> Upload:
        """Raises PictureGone where it is no longer kept."""
        with self._lock:
            upload = self._kept.get(id)
            if upload is None or upload.expires < time.monotonic():
                raise PictureGone(GONE)
            self._kept.move_to_end(id)
            upload.expires = time.monotonic() + KEPT_SECONDS
            return upload
