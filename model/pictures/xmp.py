"""What an XMP packet says (ISO 16684-1): properties by name, each with its texts. It must not know what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DESCRIPTION, ITEM = f"{RDF}Description", f"{RDF}li"
CONTAINERS = frozenset({f"{RDF}Bag", f"{RDF}Seq", f"{RDF}Alt"})

MOST_BYTES = 1 << 20
"""Of a packet; what programs write of every stroke of a brush is larger, and says nothing else."""

Properties = dict[str, list[str]]


def properties_of(packet: bytes) -> Properties:
    """The properties of a packet by ``{namespace}name``; none of one that is no XMP, or larger than `MOST_BYTES`."""
    found: Properties = {}
    if len(packet) > MOST_BYTES or b"<!" in packet:  # no packet has a declaration; one could hold a bomb
        return found
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError, LookupError):
        return found
    for description in root.iter(DESCRIPTION):
        for name, text in _properties(description):
            found.setdefault(name, []).append(text)
    return found


def _properties(description: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """Simple ones are attributes or elements, those of several values hold a list."""
    yield from description.attrib.items()
    for element in description:
        container = next(iter(element), None)
        if container is None:
            yield element.tag, element.text or ""
        elif container.tag in CONTAINERS:
            yield from ((element.tag, item.text) for item in container.iter(ITEM) if item.text)
