"""How good the answers are, on a labelled folder: hit@k of tags among the labels, P@10 of text queries.

    python benchmarks/quality.py FOLDER

Ingests the folder with the bundled pair into a store that is thrown away, then asks as `query` does. Pictures
that the head was not trained on are counted apart.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ingest.collection import Options, read_collection_projection
from ingest.pipeline import run_folder
from ingest.records import Picture
from ingest.stores import SEMANTIC, VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.projections import HASH_DIGITS
from query.asking import ImageQuery, Search, direction, parse

HIT_AT = (1, 2, 3, 5, 10)


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = EmbeddedStore(Path(place))
        for projection in ("auto", "conse"):
            name = f"quality-{projection}"
            run_folder(store, folder, name, Options(offline=True, projection=projection))
            with store.open(name) as collection:
                held_back = set(read_collection_projection(collection).header.test)
                search = Search(store, collection)
                print(f"\nprojection {collection.metadata.projection}")
                tags(search, collection, held_back)
                texts(search, collection)


def tags(search: Search, collection, held_back: set[str]) -> None:
    labels = search.own_labels()
    written = {label: " ".join(search.words.phrase(label).known) for label in labels}
    ranks: dict[str, list[int]] = {"all": [], "held back": []}
    for page in collection.scroll([VISUAL, SEMANTIC]):
        for point in page:
            picture = Picture.from_payload(point.payload)
            asked = ImageQuery(point.vectors[VISUAL], point.vectors[SEMANTIC], point.id, stored=True)
            found = [tag.word for tag in search.tags(asked, limit=len(labels), labels=labels)]
            rank = found.index(written[picture.label or ""]) + 1
            ranks["all"].append(rank)
            if picture.sha256[:HASH_DIGITS] in held_back:
                ranks["held back"].append(rank)
    for part, got in ranks.items():
        if got:
            hits = "  ".join(f"hit@{k} {100 * sum(r <= k for r in got) / len(got):.1f}%" for k in HIT_AT)
            print(f"query tags --own-labels, {part} ({len(got)} pictures): {hits}")


def texts(search: Search, collection) -> None:
    counts = collection.labels()
    precisions = []
    for label in counts:
        found = search.text(direction(parse(label.replace("_", " ")), search.words), limit=10)
        precisions.append(sum(answer.picture.label == label for answer in found) / 10)
    print(f"query text LABEL ({len(counts)} labels): P@10 {sum(precisions) / len(precisions):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
