"""What a payload says of when, where and by which camera a picture was taken: in older collections, nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.pictures import PhotoMetadata, wall_seconds

TAKEN_AT, CAMERA, PLACE, KEYWORDS = "taken_at", "camera", "place", "keywords"
"""Fields that stores index, for filters."""


def photo_fields(photo: PhotoMetadata) -> dict[str, Any]:
    """JSON types only; what a file does not say is left out. ``taken_at`` is what ``taken`` says as a number."""
    fields: dict[str, Any] = {"taken": photo.taken, "taken_from": photo.taken_from}
    if photo.taken:
        fields[TAKEN_AT] = wall_seconds(photo.taken)
    if photo.place:
        latitude, longitude = photo.place
        fields[PLACE] = {"lat": latitude, "lon": longitude}
    others = {
        CAMERA: photo.camera,
        "lens": photo.lens,
        "orientation": photo.orientation if photo.orientation > 1 else 0,
    }
    return {**fields, **{name: value for name, value in others.items() if value}}


def photo_of(payload: Mapping[str, Any]) -> PhotoMetadata | None:
    """None where nothing was read: the collection is older."""
    if payload.get("taken") is None:
        return None
    place = payload.get(PLACE)
    return PhotoMetadata(
        taken=payload["taken"],
        taken_from=payload["taken_from"],
        camera=payload.get(CAMERA) or "",
        lens=payload.get("lens") or "",
        place=(round(place["lat"], 6), round(place["lon"], 6)) if place else None,
        orientation=payload.get("orientation") or 1,
        keywords=tuple(payload.get(KEYWORDS) or ()),
    )


def labels_of(payload: Mapping[str, Any]) -> list[str]:
    """The labels of a picture: the name of its folder, where it has one, and the keywords in its file."""
    label = payload.get("label")
    return [*([] if label is None else [label]), *(payload.get(KEYWORDS) or ())]
