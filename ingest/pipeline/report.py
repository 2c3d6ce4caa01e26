"""What a run did, in numbers. It must not know how they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from model.pictures import LeftOut


@dataclass
class Report:
    """What a run did, in pictures.

    ``collection``: its name. ``added``, ``updated``: new and changed files that were indexed; of these ``copied``
    had content that was indexed already, so nothing was encoded, and ``damaged`` are shown as far as they can be
    decoded. ``unchanged``: not opened. ``removed``: their files are gone. ``excluded``: removed,
    because the rules of the scan leave them out by now. ``missing``: gone too, but kept: as asked, or
    because it looks like a disk that is not there; then ``gone`` says how many in which folders (``""``: here and
    there), and ``gone_before`` whether an earlier run found the same. ``vanished``: there when the folder was looked
    through, and not when they were to be read. ``failed``: could not be read; ``failed_before``: nor earlier, and they
    were not tried again. ``total``: in the collection after the run. ``to_do``: files that the run set out to read.
    ``described``: of how many it was read when, where and how they were taken, which earlier runs had not done.
    ``read``: in how many it was looked for text, and ``written`` how many have some.
    ``interrupted``: Ctrl-C ended it early; what was done is kept. ``left_out``: what the scan passed over.
    """

    collection: str
    added: int = 0
    updated: int = 0
    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    excluded: int = 0
    missing: int = 0
    gone: dict[str, int] = field(default_factory=dict)
    gone_before: bool = False
    damaged: int = 0
    vanished: int = 0
    failed: int = 0
    failed_before: int = 0
    total: int = 0
    to_do: int = 0
    described: int = 0
    read: int = 0
    written: int = 0
    interrupted: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def done(self) -> int:
        """Files read, of ``to_do``."""
        return self.added + self.updated + self.failed + self.vanished
