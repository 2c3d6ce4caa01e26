"""Names of collections: those given, and those that folders have."""

from __future__ import annotations

import pytest

from ingest.stores import check_name, collection_name
from model.errors import UsageError


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("photos", "photos"),
        ("Käse 芝士", "Käse 芝士"),
        ("a:b?", "a-b"),
        ("...", "pictures"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 71 + "-4d1f7bb8"),
        ("圖" * 85, "圖" * 23 + "-5cbde05d"),
        ("圖" * 84 + "書", "圖" * 23 + "-ec405d79"),
        ("x" * 70 + "   " + "y" * 80, "x" * 70 + "-94b1ac11"),
    ],
)
def test_a_folders_name_becomes_a_collections(folder: str, name: str) -> None:
    assert collection_name(folder) == name
    assert len(name.encode()) <= 80
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "told"), [("x" * 101, "101 characters, 101 bytes"), ("圖" * 61, "61 characters, 183")]
)
def test_a_name_that_no_server_survives_is_refused(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"has {told}.* up to 100 characters and 180 bytes are taken, so choose"):
        check_name(name)


@pytest.mark.parametrize("name", ["圖" * 60, "x" * 100, "a b.c-(d)_e"])
def test_any_other_name_may_be_given(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", " a", "a/b", "..", "a\n"])
def test_what_a_store_may_refuse_cannot_be_given(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a collection"):
        check_name(name)
