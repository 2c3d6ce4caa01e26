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
from ingest.stores.embedded import EmbeddedStore
from model.projections import HASH_DIGITS
from query.asking import CollectionContext, Question, TagsQuestion, ask, ask_tags, own_labels, parse

HIT_AT = (1, 2, 3, 5, 10)


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = EmbeddedStore(Path(place))
        for projection in ("auto", "conse"):
            name = f"quality-{projection}"
            run_folder(store, folder, name, Options(offline=True, projection=projection))
            with store.open(name) as collection:
                held_back = set(read_collection_projection(collection).header.test)
                context = CollectionContext(store, collection)
                print(f"\nprojection {collection.metadata.projection}")
                tags(context, held_back)
                texts(context)


def tags(context: CollectionContext, held_back: set[str]) -> None:
    labels = own_labels(context)
    written = {label: " ".join(context.words.phrase(label).known) for label in labels}
    ranks: dict[str, list[int]] = {"all": [], "held back": []}
    for page in context.collection.scroll():
        for point in page:
            picture = Picture.from_payload(point.payload)
            question = TagsQuestion((point.id,), len(labels), labels=tuple(labels))
            found = [tag.word for tag in ask_tags(context, question)]
            rank = found.index(written[picture.label or ""]) + 1
            ranks["all"].append(rank)
            if picture.sha256[:HASH_DIGITS] in held_back:
                ranks["held back"].append(rank)
    for part, got in ranks.items():
        if got:
            hits = "  ".join(f"hit@{k} {100 * sum(r <= k for r in got) / len(got):.1f}%" for k in HIT_AT)
            print(f"query tags --own-labels, {part} ({len(got)} pictures): {hits}")


def texts(context: CollectionContext) -> None:
    counts = context.collection.labels()
    precisions = []
    for label in counts:
        answer = ask(context, Question(tuple(parse(label.replace("_", " "))), limit=10))
        precisions.append(sum(hit.picture.label == label for hit in answer) / 10)
    print(f"query text LABEL ({len(counts)} labels): P@10 {sum(precisions) / len(precisions):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
