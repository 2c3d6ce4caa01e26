"""Pictures that clients asked about: kept for a while, so that an address with one can be reloaded and shared."""

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
from query.asking import ImageQuery, Search
from query.web.body import Sent

PREFIX = "upload-"
KEPT = 200
"""So many at most, the longest unused going first: 40 MB, since not the file is kept but a small copy."""

KEPT_SECONDS = 3600.0


@dataclass(slots=True)
class Upload:
    """``copy``: a JPEG file, small and without metadata. ``features``: by encoder and its checksum."""

    id: str
    copy: bytes
    width: int
    height: int
    expires: float
    features: dict[tuple[str, str], NDArray[np.float32]] = field(default_factory=dict)

    def asked(self, search: Search) -> ImageQuery:
        """The picture as a question to a collection, which may have another encoder than the last one asked."""
        encoder = (search.metadata.encoder, search.metadata.encoder_sha256)
        if encoder not in self.features:
            self.features[encoder] = search.features(open_framed(self.copy, search.encoder.spec.framing).pixels)
        return search.ask_with(self.features[encoder])


class Uploads:
    """The pictures kept, in memory only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, sent: Sent, search: Search) -> Upload:
        """Look at a picture once, and keep what was seen."""
        features = search.features(sent.framed.pixels)
        upload = Upload(
            id=PREFIX + secrets.token_urlsafe(12),
            copy=sent.copy,
            width=sent.framed.width,
            height=sent.framed.height,
            expires=time.monotonic() + KEPT_SECONDS,
            features={(search.metadata.encoder, search.metadata.encoder_sha256): features},
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
        """Raises PictureGone where it is kept no longer."""
        with self._lock:
            upload = self._kept.get(id)
            if upload is None or upload.expires < time.monotonic():
                raise PictureGone("that picture was kept for an hour and is gone: drop it once more")
            self._kept.move_to_end(id)
            upload.expires = time.monotonic() + KEPT_SECONDS
            return upload
