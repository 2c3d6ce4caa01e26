"""The files projections are kept in: they come back the same, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from model import __version__
from model.errors import ProjectionError, UsageError
from model.projections import Projection, load_chosen, load_projection, read_projection
from model.projections.migration import migrate
from tests.model.projections import small_best, small_conse, small_document, some_features


@pytest.fixture(params=[small_document, small_conse, small_best], ids=["document", "conse", "best"])
def small(request: pytest.FixtureRequest) -> Projection:
    return request.param()


def test_what_was_saved_comes_back_the_same(small: Projection, tmp_path: Path) -> None:
    path = tmp_path / "projection.safetensors"
    small.save(path)
    again = load_projection(path)
    assert type(again) is type(small)
    assert again.header == small.header
    assert again.tensors.keys() == small.tensors.keys()
    for name, tensor in small.tensors.items():
        assert np.array_equal(again.tensors[name], tensor), name
    assert np.array_equal(again.project(some_features()), small.project(some_features()))
    assert again.to_bytes() == small.to_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_tensors_that_lie_transposed_in_memory_are_saved_as_they_read(tmp_path: Path) -> None:
    conse = small_conse()
    conse.tensors["weight"] = np.asfortranarray(conse.tensors["weight"])
    assert np.array_equal(read_projection(conse.to_bytes(), "it").tensors["weight"], conse.tensors["weight"])


def test_the_header_says_of_what_and_for_what(small: Projection) -> None:
    data = small.to_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["wordsight"])
    assert header == {"format": 4, "program": __version__, **asdict(small.header)}


# Refusals


@pytest.mark.parametrize("field", ["encoder", "encoder_sha256", "words", "words_sha256"])
def test_a_projection_of_other_models_is_refused(small: Projection, field: str) -> None:
    right = {name: getattr(small.header, name) for name in ("encoder", "encoder_sha256", "words", "words_sha256")}
    widths = (small.width, small.project(some_features()).shape[1])
    small.check(**right, widths=widths)
    for wrong in ((widths[0] + 1, widths[1]), (widths[0], widths[1] + 1)):
        with pytest.raises(ProjectionError, match=r"leads from \d+ numbers to \d+, not from \d+ to \d+"):
            small.check(**right, widths=wrong)
    with pytest.raises(ProjectionError, match=r"the projection is for efficientnet-lite0 eeeeeeee with glove-6b-50d"):
        small.check(**right | {field: "other"}, widths=widths)


def changed(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The same file with another header of ours."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["wordsight"])
    return save(load(data), {"wordsight": json.dumps(change(header))})


def refused(data: bytes, message: str = "not a projection, or is broken: train it again") -> None:
    with pytest.raises(ProjectionError, match=f"my file (is|has) {message}"):
        read_projection(data, "my file")


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.999])
def test_a_truncated_file_is_refused(small: Projection, share: float) -> None:
    data = small.to_bytes()
    refused(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data", [b"rubbish" * 100, b"\xff" * 64, b"\x02" + b"\0" * 7 + b"[]", b"\x04" + b"\0" * 7 + b"null"]
)
def test_a_file_of_something_else_is_refused(data: bytes) -> None:
    refused(data)


def test_a_safetensors_file_of_somebody_else_is_refused() -> None:
    refused(save({"weight": np.zeros((2, 2), np.float32)}))
    refused(save({"weight": np.zeros((2, 2), np.float32)}, {"wordsight": "not json"}))
    refused(save({"weight": np.zeros((2, 2), np.float32)}, {"wordsight": "[]"}))


def test_a_newer_format_names_the_version_that_reads_it(small: Projection) -> None:
    newer = changed(small.to_bytes(), lambda header: header | {"format": 5, "program": "7.8.9rc1", "kind": "oracle"})
    refused(newer, r"format 5, written by wordsight 7\.8\.9rc1: .*reads formats 2 to 4; install wordsight 7\.8\.9rc1")
    for program in (None, 7, "evil\x1b[31m", "1" * 99):
        silent = changed(small.to_bytes(), lambda header, said=program: header | {"format": 5, "program": said})
        refused(silent, "format 5 and does not say which version of wordsight wrote it")


def test_a_format_that_is_too_old_says_what_to_do(small: Projection) -> None:
    old = changed(small.to_bytes(), lambda header: header | {"format": 1})
    refused(old, r"format 1, which is too old: .* train it again with `model train`, or .* `ingest reproject`")


# Older formats


@pytest.mark.parametrize(("before", "now"), [("joint", "best"), ("devise", "document"), ("conse", "conse")])
def test_a_header_of_format_2_is_migrated(before: str, now: str) -> None:
    old = {"format": 2, "kind": before, "encoder": "e", "labels": {"dog": 3}, "spoken": ["dog"]}
    kept = dict(old)
    assert migrate(old) == {"format": 4, "kind": now, "encoder": "e", "labels": {"dog": 3}, "label_phrases": ["dog"]}
    assert old == kept
    current = {"format": 4, "kind": "joint", "label_phrases": []}
    assert migrate(current) == current


def test_a_file_of_format_2_is_read_and_saved_in_format_4(small: Projection) -> None:
    kinds = {"best": "joint", "document": "devise", "conse": "conse"}

    def older(header: dict[str, Any]) -> dict[str, Any]:
        del header["program"]
        return header | {"format": 2, "kind": kinds[header["kind"]], "spoken": header.pop("label_phrases")}

    again = read_projection(changed(small.to_bytes(), older), "it")
    assert type(again) is type(small)
    assert again.to_bytes() == small.to_bytes()
    refused(changed(small.to_bytes(), lambda header: header | {"format": 2}))  # and no "spoken"


# Files and kinds


def test_a_kind_is_told_from_a_file_and_an_old_one_names_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_chosen("best", ("best", "conse")) is None
    with pytest.raises(UsageError, match="'joint' is now called 'best': use --projection best"):
        load_chosen("joint", ("best", "conse"))
    with pytest.raises(UsageError, match="'devise' is now called 'document': use --projection document"):
        load_chosen("devise", ("best", "conse"))
    small_conse().save(tmp_path / "joint")
    found = load_chosen("joint", ("best", "conse"))
    assert found is not None
    assert found.header.kind == "conse"


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header | {"kind": "wizard"},
        lambda header: header | {"unheard": 1},
        lambda header: {name: value for name, value in header.items() if name != "encoder"},
        lambda header: {name: value for name, value in header.items() if name != "format"},
        lambda header: header | {"kind": []},
        lambda header: header | {"labels": None},
        lambda header: header | {"labels": [1, 2]},
        lambda header: header | {"label_phrases": [1]},
        lambda header: header | {"figures": {"test": 3}},
        lambda header: header | {"history": [3]},
        lambda header: header | {"test": "abc"},
        lambda header: header | {"class_tags": [["x"], 3]},
    ],
)
def test_a_header_that_does_not_fit_is_refused(small: Projection, change: Callable[[dict[str, Any]], object]) -> None:
    refused(changed(small.to_bytes(), change))


def test_a_header_too_deep_to_read_and_names_of_other_classes_are_refused() -> None:
    conse = small_conse()
    length = 8 + int.from_bytes(conse.to_bytes()[:8], "little")
    deep = json.dumps({"__metadata__": {"wordsight": "[" * 100_000}}).encode()
    refused(len(deep).to_bytes(8, "little") + deep + conse.to_bytes()[length:])
    refused(changed(conse.to_bytes(), lambda header: header | {"class_tags": [["x"]]}))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_tensors_that_do_not_fit_together_are_refused(small: Projection) -> None:
    for name, tensor in small.tensors.items():
        for broken in (None, tensor[:-1], tensor.ravel()[:1], np.full_like(tensor, np.nan)):
            tensors = {key: value for key, value in small.tensors.items() if key != name}
            if broken is not None:
                tensors[name] = broken
            if broken is not None and broken.size == 1 and tensor.ndim == 1:
                continue  # one number for all is a shape that fits
            small_header = {"wordsight": json.dumps({"format": 4, **asdict(small.header)})}
            refused(save(tensors, small_header))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectionError, match=r"cannot read the projection .*nowhere: No such file"):
        load_projection(tmp_path / "nowhere")
    with pytest.raises(ProjectionError, match="Is a directory"):
        load_projection(tmp_path)


def test_saving_over_an_older_one_is_all_or_nothing(
    small: Projection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "projection.safetensors"
    small.save(path)
    before = path.read_bytes()

    def fail(self: Projection) -> bytes:
        raise MemoryError

    monkeypatch.setattr(Projection, "to_bytes", fail)
    with pytest.raises(MemoryError):
        small.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
