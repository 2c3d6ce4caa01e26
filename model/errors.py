"""Every error a user can meet, in one tree; what concerns stores grows in `ingest.errors`, since this layer knows none.

WordsightError
├── UsageError            the call contradicts itself
├── PictureError          a file that cannot become pixels
│   ├── PictureTooLarge
│   │   └── PictureNoMemory   for the memory that there is now
│   ├── PictureTooSlow
│   ├── PictureOutside    it was to be served, and leads out of its dataset
│   └── PictureGone       it was indexed, and its file is not there now
├── WordsError            words that have no vector
├── WeightsError          encoder weights or word vectors: missing, broken, wrong checksum
├── ProjectionError       a projection that does not fit its encoder or words
├── DatasetError          a folder that cannot be indexed or trained on
│   └── NothingLearnt     its labels are not told apart by their pictures
├── CacheError            the cache folder cannot be used
├── DiskFull              too little space is left to write safely
└── StoreError            the collections cannot be read or written: see `ingest.errors`

A foreign error is translated where it crosses into this project and caught once, in
`model.system.terminal.run_cli`. A message says what went wrong, with which value, and what to do.
"""
# ruff: noqa: N818 - a name like StoreInUse says what is wrong; ending in Error it would say it twice

from collections.abc import Sequence


class WordsightError(Exception):
    """Base of the tree: one sentence for the user, exit status 2."""


class UsageError(WordsightError):
    """The call contradicts itself or names something that cannot be."""


class PictureError(WordsightError):
    """A file that cannot become pixels."""


class PictureTooLarge(PictureError):
    """A picture with more pixels than the limit allows."""


class PictureOutside(PictureError):
    """A file that lies outside the dataset, or a link that leads there."""


class PictureGone(PictureError):
    """A picture that was indexed and whose file is not there now, or not on this machine."""


class PictureNoMemory(PictureTooLarge):
    """A picture that was not decoded for lack of memory."""


class PictureTooSlow(PictureError):
    """A picture that is not decoded in the time allowed."""


class WordsError(WordsightError):
    """None of the words asked for has a vector."""


class WeightsError(WordsightError):
    """Encoder weights or word vectors are missing, broken or not the ones expected."""


class ProjectionError(WordsightError):
    """A projection that is broken or fits neither encoder nor words."""


class DatasetError(WordsightError):
    """A folder that cannot be indexed or trained on."""


class NothingLearnt(DatasetError):
    """No two labels are told apart by their pictures. ``labels``: those that were tried."""

    def __init__(self, message: str, labels: Sequence[str]) -> None:
        super().__init__(message)
        self.labels = tuple(labels)


class CacheError(WordsightError):
    """The cache folder cannot be used."""


class DiskFull(WordsightError):
    """Too little space is left to write safely."""
