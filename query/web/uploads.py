"""Pictures that clients asked about: kept for a while, so that an address with one can be reloaded and shared.

It must not know what is asked about them.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.errors import PictureGone
from model.pictures import open_framed
from query.asking import CollectionContext, EncodedPicture, encode
from query.web.body import Sent

PREFIX = "upload-"
KEPT = 200
"""At most so many, the longest unused going first: 40 MB, since a small copy is kept and not the file."""

KEPT_SECONDS = 3600.0


@dataclass(slots=True)
class Upload:
    """``copy``: a JPEG file, small and without metadata. ``features``: by encoder, its checksum and its framing."""

    id: str
    copy: bytes
    width: int
    height: int
    expires: float
    features: dict[tuple[str, str, str], NDArray[np.float32]] = field(default_factory=dict)

    def encoded(self, context: CollectionContext) -> EncodedPicture:
        """As this collection's encoder sees it, which may be another than that of the last one asked."""
        encoder = _encoder_key(context)
        if encoder not in self.features:
            pixels = open_framed(self.copy, context.encoder.spec.framing).pixels
            self.features[encoder] = encode(context, pixels)
        return EncodedPicture(self.features[encoder])


def _encoder_key(context: CollectionContext) -> tuple[str, str, str]:
    return context.metadata.encoder, context.metadata.encoder_sha256, context.metadata.framing


class Uploads:
    """The pictures kept, in memory only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, sent: Sent, context: CollectionContext) -> Upload:
        """Encode a picture once, and keep its features and a small copy."""
        features = encode(context, sent.framed.pixels)
        upload = Upload(
            id=PREFIX + secrets.token_urlsafe(12),
            copy=sent.copy,
            width=sent.framed.width,
            height=sent.framed.height,
            expires=time.monotonic() + KEPT_SECONDS,
            features={_encoder_key(context): features},
        )
        with self._lock:
            self._kept[upload.id] = upload
            self._forget()
        return upload

    def _forget(self) -> None:
        now = time.monotonic()
        while self._kept and (len(self._kept) > KEPT or next(iter(self._kept.values())).expires < now):
            self._kept.popitem(last=False)

    def get(self, id: str) -> Upload:
        """Raises PictureGone where it is no longer kept."""
        with self._lock:
            upload = self._kept.get(id)
            if upload is None or upload.expires < time.monotonic():
                raise PictureGone("that picture was kept for an hour and is gone: drop it once more")
            self._kept.move_to_end(id)
            upload.expires = time.monotonic() + KEPT_SECONDS
            return upload
