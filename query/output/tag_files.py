"""Words for many pictures: as lines of CSV or JSON, or as XMP sidecars beside the pictures.

A picture's own file is never written to, nor a sidecar that another program made. It must not know how words are found.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from html import escape  # that of xml.sax would bring http and ssl along: 15 ms of every question
from pathlib import Path

from model import __version__
from model.projections import Tag
from model.system.atomic import replace_file
from model.system.names import one_line, shown
from model.system.terminal import results, write_json
from query.asking import PictureHit, TagsAnswer

SIDECAR = ".xmp"
"""Added to a picture's whole name, as darktable and digiKam do: ``a.jpg`` and ``a.nef`` have one each."""

OURS = b'xmp:CreatorTool="wordsight '

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmp:CreatorTool="wordsight {version}">
   <dc:subject>
    <rdf:Bag>
{items}
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


class TagFormat(StrEnum):
    """How words for many pictures are written."""

    LINES = "lines"
    CSV = "csv"
    JSON = "json"
    XMP = "xmp"


@dataclass
class Written:
    """``pictures``: that got words. ``kept``: sidecars of other programs, left alone. ``failed``: that could not be
    written, the first with its reason in ``problem``; a picture that is missing gets none."""

    pictures: int = 0
    kept: int = 0
    failed: int = 0
    problem: str = ""

    def messages(self, format: TagFormat) -> list[str]:
        """Sentences on what was written, and what was not."""
        said = [f"sidecars written: {self.pictures}"] if format is TagFormat.XMP else []
        if self.kept:
            said.append(f"sidecars of other programs left as they are: {self.kept}")
        if self.failed:
            said.append(f"sidecars that could not be written: {self.failed}, the first {self.problem}")
        return said


def write_all_tags(answers: Iterable[TagsAnswer], format: TagFormat) -> Written:
    """Write the words of each picture as they come; pictures without any are passed over, in JSON apart."""
    written = Written()
    if format is TagFormat.JSON:
        write_json(_record(answer, written) for answer in answers)
    elif format is TagFormat.XMP:
        for answer in answers:
            if answer.tags and answer.asked:
                _write_sidecar(answer.asked, answer.tags, written)
    else:
        with results():
            rows = csv.writer(sys.stdout, lineterminator="\n") if format is TagFormat.CSV else None
            if rows:
                rows.writerow(("file", "word", "score"))
            for answer in answers:
                written.pictures += bool(answer.tags)
                for tag in answer.tags:
                    file = _file(answer)
                    if rows:
                        rows.writerow((file, tag.word, f"{tag.score:.4f}"))
                    else:
                        sys.stdout.write(f"{tag.score:.4f}\t{tag.word}\t{one_line(file)}\n")
    return written


def _file(answer: TagsAnswer) -> str:
    return shown(answer.asked.file) if answer.asked else ""


def _record(answer: TagsAnswer, written: Written) -> dict[str, object]:
    written.pictures += bool(answer.tags)
    tags = [{"word": tag.word, "score": tag.score, "trained": tag.trained} for tag in answer.tags]
    hit = answer.asked
    return {
        "file": _file(answer),
        "path": shown(hit.picture.path) if hit else "",
        "id": str(hit.picture.id) if hit else "",
        "tags": tags,
    }


def _write_sidecar(hit: PictureHit, tags: Iterable[Tag], written: Written) -> None:
    path = Path(hit.file + SIDECAR)
    try:
        if hit.missing:
            raise FileNotFoundError(f"{shown(hit.file)} is missing")
        if path.is_symlink() or (path.exists() and OURS not in path.read_bytes()):
            written.kept += 1
            return
        items = "\n".join(f"     <rdf:li>{escape(tag.word, quote=False)}</rdf:li>" for tag in tags)
        with replace_file(path) as file:
            file.write(PACKET.format(version=__version__, items=items).encode())
        written.pictures += 1
    except OSError as error:
        written.failed += 1
        written.problem = written.problem or f"{shown(str(path))}: {error.strerror or error}"
