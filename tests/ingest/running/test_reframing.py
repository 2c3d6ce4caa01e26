"""`ingest run --re-embed` and --framing: a collection's framing changes as a whole, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingest.errors import CollectionMismatch
from ingest.pipeline import ExportOptions, export_collection
from ingest.pipeline import embedder as embedder_module
from ingest.records import Pending, Picture
from ingest.stores import VISUAL
from ingest.stores.embedded import EmbeddedStore
from model.encoders import Encoder
from model.errors import UsageError
from tests.commands import command
from tests.ingest.runs import OFFLINE, direct_vector, ingest, points

PUBLISHED = replace(OFFLINE, framing="published")
RE_EMBED = replace(OFFLINE, re_embed=True)


def assert_framed(store: EmbeddedStore, encoder: Encoder, folder: Path, rule: str) -> None:
    stored = points(store)
    assert sorted(stored) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*g"))
    for path, point in stored.items():
        np.testing.assert_allclose(point.vectors[VISUAL], direct_vector(encoder, folder / path, rule), atol=1e-5)
        assert Picture.from_payload(point.payload).framing == rule


def test_a_collection_keeps_its_framing_and_says_how_to_change_it(
    store: EmbeddedStore, folder: Path, encoder: Encoder, encoded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ingest(store, folder, PUBLISHED).added == 4
    assert_framed(store, encoder, folder, "published")
    encoded.clear()
    capsys.readouterr()
    assert ingest(store, folder).unchanged == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "the framing published, and efficientnet-lite0 now has whole: `ingest run --re-embed` changes to it" in said
    assert ingest(store, folder, PUBLISHED).unchanged == 4
    assert "--re-embed" not in capsys.readouterr().err
    with pytest.raises(CollectionMismatch, match=r"made with framing published, not whole: .* --re-embed"):
        ingest(store, folder, replace(OFFLINE, framing="whole"))
    with pytest.raises(UsageError, match="no framing 'square': there are published, whole"):
        ingest(store, folder, replace(OFFLINE, framing="square"))
    assert encoded == []
    assert_framed(store, encoder, folder, "published")


def test_re_embedding_changes_every_vector_and_a_second_run_none(
    store: EmbeddedStore, folder: Path, encoder: Encoder, encoded: list[str]
) -> None:
    ingest(store, folder, PUBLISHED)
    before = points(store)
    encoded.clear()
    report = ingest(store, folder, RE_EMBED)
    assert (report.updated, report.added, report.removed, report.total) == (4, 0, 0, 4)
    assert sorted(encoded) == sorted(before)
    assert_framed(store, encoder, folder, "whole")
    metadata = store.metadata("photos")
    assert (metadata.framing, metadata.pending) == ("whole", Pending.NOTHING)
    after = points(store)
    assert max(float(after[path].vectors[VISUAL] @ before[path].vectors[VISUAL]) for path in after) < 0.999
    encoded.clear()
    assert ingest(store, folder).unchanged == 4
    assert encoded == []
    ingest(store, folder, replace(RE_EMBED, framing="published"))
    assert_framed(store, encoder, folder, "published")


def test_a_copy_of_what_was_framed_otherwise_does_not_take_its_vector(
    store: EmbeddedStore, folder: Path, encoder: Encoder
) -> None:
    ingest(store, folder, PUBLISHED)
    (folder / "again.png").write_bytes((folder / "cat/chelsea.png").read_bytes())
    assert ingest(store, folder, RE_EMBED).total == 5
    assert_framed(store, encoder, folder, "whole")


def test_what_was_cut_off_is_finished_by_the_next_run(
    store: EmbeddedStore,
    folder: Path,
    encoder: Encoder,
    encoded: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ingest(store, folder, PUBLISHED)
    with monkeypatch.context() as patch:
        patch.setattr(embedder_module, "ACK_PICTURES", 1)
        write, written = embedder_module.BatchWriter.write, []

        def write_two(writer: object, batch: object, *how: object) -> None:
            if len(written) == 2:
                raise KeyboardInterrupt
            written.append(batch)
            write(writer, batch, *how)

        patch.setattr(embedder_module.BatchWriter, "write", write_two)
        ingest(store, folder, RE_EMBED)
    metadata = store.metadata("photos")
    assert (metadata.framing, metadata.pending) == ("whole", Pending.RE_EMBEDDING)
    assert sorted(point.payload.get("framing", "") for point in points(store).values()) == ["", "", "whole", "whole"]
    with pytest.raises(UsageError, match="ended early, its vectors are not of one kind: run it to its end"):
        export_collection(store, "photos", tmp_path / "snapshot", ExportOptions())
    store.close()
    asked = command("query", "text", "cat", "--store", store.root)
    assert asked.status == 0
    assert "some of them are still compared as they were framed before: `ingest run` finishes it" in " ".join(
        asked.err.split()
    )
    encoded.clear()
    again = EmbeddedStore(store.root)
    report = ingest(again, folder)
    assert (report.updated, report.unchanged, len(encoded)) == (2, 2, 2)
    assert_framed(again, encoder, folder, "whole")
    assert again.metadata("photos").pending == Pending.NOTHING
    again.close()


def test_one_damaged_picture_is_shown_marked_and_tried_again(
    store: EmbeddedStore, folder: Path, encoded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / "rocket/rocket.jpg").read_bytes()
    (folder / "rocket/rocket.jpg").write_bytes(whole[: int(len(whole) * 0.97)])
    report = ingest(store, folder)
    assert (report.added, report.damaged, report.failed) == (4, 1, 0)
    assert "damaged file 'rocket/rocket.jpg', shown as far as it goes: " in capsys.readouterr().err
    marks = {path: Picture.from_payload(point.payload).damaged for path, point in points(store).items()}
    assert marks.pop("rocket/rocket.jpg")
    assert set(marks.values()) == {""}
    encoded.clear()
    assert ingest(store, folder).unchanged == 4
    assert encoded == []
    ingest(store, folder, replace(OFFLINE, retry=True))
    assert encoded == ["rocket/rocket.jpg"]
    strict = ingest(store, folder, replace(OFFLINE, strict=True))
    assert (strict.failed, strict.removed, strict.total) == (1, 1, 3)
    assert "rocket/rocket.jpg" not in points(store)
    (folder / "rocket/rocket.jpg").write_bytes(whole)
    mended = ingest(store, folder)
    assert (mended.added, mended.damaged, mended.total) == (1, 0, 4)
    assert Picture.from_payload(points(store)["rocket/rocket.jpg"].payload).damaged == ""


def test_a_damaged_picture_is_told_by_every_command(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "rocket/rocket.jpg").read_bytes()
    (folder / "rocket/rocket.jpg").write_bytes(whole[:-2])
    with Image.open(folder / "coffee/coffee.png") as image:
        image.save(folder / "two.gif", save_all=True, append_images=[image.rotate(90)])
    assert command("ingest", "run", folder, "--offline").status == 0
    (status,) = command("ingest", "status", "--json").json
    assert (status["damaged"], status["framing"]) == (1, "whole")
    assert ", 1 damaged but shown" in command("ingest", "status").out
    (row,) = command("ingest", "failures").rows
    assert row[0] == "'rocket/rocket.jpg'"
    assert row[1].startswith("damaged but shown: ")
    (hit,) = command("query", "text", "rocket", "--json", "--label", "rocket").json
    assert hit["damaged"]
    asked = command("query", "similar", folder / "coffee/coffee.png", "--json", "-n", "1").json[0]
    assert (asked["path"], asked["damaged"], asked["frame"]) == ("two.gif", "", 0)
    page = tmp_path / "page.html"
    assert command("query", "text", "rocket", "--label", "rocket", "--html", page).status == 0
    assert "rocket (damaged)" in page.read_text()
