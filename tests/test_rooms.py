"""The rooms of the house: which may import which, and that they do so through their doors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("model", "ingest", "query")

TOOLS = {"model.system"}
"""Rooms of single tools, imported by their names: they have no door."""

SIDE_DOORS = {
    "model.encoders.torch",
    "model.projections.training.best",
    "model.projections.training.document",
}
"""Modules that import torch, and so are imported by their own names, where they are called."""

ORDER = (
    "model.system",
    "model.pictures",
    "model.ocr",
    "model.encoders",
    "model.words",
    "model.class_space",
    "model.projections",
    "model.projections.training",
    "model.judging",
    "ingest.records",
    "ingest.stores",
    "ingest.stores.embedded",
    "ingest.stores.server",
    "ingest.stores.snapshot",
    "ingest.collection",
    "ingest.pipeline",
    "query.asking",
    "query.output",
    "query.web.decoding",
    "query.web",
)
"""Each room may import those before it."""

STORES = ("ingest.stores.embedded", "ingest.stores.server", "ingest.stores.snapshot")


def modules() -> Iterator[tuple[str, Path]]:
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[str]:
    """Every module of ours that a file imports, also inside functions; a name of a package is its module, if it is."""
    known = {name for name, _ in modules()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in LAYERS:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in known else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in LAYERS)


def room_of(module: str) -> str:
    """The room that a module lies in; empty for what lies beside the rooms."""
    inside = [room for room in ORDER if module == room or module.startswith(room + ".")]
    return max(inside, key=len, default="")


EVERY = [(name, imported) for name, path in modules() for imported in imports(path)]


def test_every_folder_is_a_known_room() -> None:
    folders = {name.rpartition(".")[0] for name, _ in modules()} - {"", *LAYERS}
    assert folders <= set(ORDER)


def test_layers_point_one_way() -> None:
    upwards = [
        (name, imported)
        for name, imported in EVERY
        if LAYERS.index(imported.split(".")[0]) > LAYERS.index(name.split(".")[0])
    ]
    assert upwards == []


def test_rooms_import_only_those_before_them() -> None:
    wrong = []
    for name, imported in EVERY:
        here, there = room_of(name), room_of(imported)
        lazily_opened = name == "ingest.stores.connect" and there in STORES
        if here and there and here != there and not lazily_opened and ORDER.index(there) > ORDER.index(here):
            wrong.append((name, imported))
    assert wrong == []


def test_stores_never_import_each_other() -> None:
    wrong = [
        (name, imported)
        for name, imported in EVERY
        if room_of(name) in STORES and room_of(imported) in STORES and room_of(name) != room_of(imported)
    ]
    assert wrong == []


def test_nothing_but_the_command_imports_the_judging() -> None:
    assert {
        name for name, imported in EVERY if room_of(imported) == "model.judging" and room_of(name) != "model.judging"
    } <= {"model.cli"}


def test_rooms_are_entered_by_their_doors() -> None:
    wrong = []
    for name, imported in EVERY:
        there = room_of(imported)
        is_inside = name == there or room_of(name) == there
        if there and not is_inside and imported not in ORDER and there not in TOOLS and imported not in SIDE_DOORS:
            wrong.append((name, imported))
    assert [pair for pair in wrong if room_of(pair[1]) != "query.web"] == []


@pytest.mark.parametrize("layer", LAYERS)
def test_no_import_goes_in_a_circle(layer: str) -> None:
    """Of modules, doors aside: a circle through a door is one of rooms, which the order excludes."""
    known = {name: set(imports(path)) for name, path in modules() if name.startswith(layer) and name not in ORDER}

    def reaches_itself(start: str) -> bool:
        seen, pending = set(), list(known[start])
        while pending:
            module = pending.pop()
            if module == start:
                return True
            if module in known and module not in seen:
                seen.add(module)
                pending.extend(known[module])
        return False

    assert [name for name in known if reaches_itself(name)] == []
